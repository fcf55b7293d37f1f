import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeView, TaskSummary, TaskView } from '../../shared/api.ts';
import { nodeChildren, nodeRows } from '../../extension/node-rows.ts';
import { queueRows } from '../../extension/queue-rows.ts';
import { isSameRow, ROW_KINDS, type Row } from '../../extension/row.ts';
import { NO_FILTER, taskChildren, taskRow, taskRows } from '../../extension/task-rows.ts';

const NOW = 1_000_000;

function task(id: string, changes: Partial<TaskSummary> = {}): TaskSummary {
  return {
    id: `5${id.padEnd(26, '0')}`,
    name: id,
    state: 'queued',
    submitter: 'me',
    submitted: NOW - 5000,
    ...changes,
  };
}

const running = task('running', { state: 'running', claimed: NOW - 4000, node: 'n1', attempt: 1 });
const moved = task('moved', { state: 'running', claimed: NOW - 1000, node: 'n2', attempt: 2 });
const queued = task('waits');
const passed = task('passed', { state: 'finished', outcome: 'passed', claimed: NOW - 90_000, finished: NOW - 60_000 });
const failed = task('failed', {
  state: 'finished',
  outcome: 'failed',
  claimed: NOW - 9000,
  finished: NOW - 8000,
  submitter: 'you',
});
const cancelled = task('cancelled', { state: 'finished', outcome: 'cancelled', finished: NOW - 9000 });
const all = [passed, queued, failed, running, cancelled, moved];

function node(name: string, changes: Partial<NodeView> = {}): NodeView {
  const more = { v: 1, instance: 'i', address: '', version: '', started: 0, isolation: 'none' };
  return { node: name, slots: 2, labels: [], draining: false, ...more, ...changes };
}

function texts(rows: readonly Row[]): string[] {
  return rows.map(({ label, description = '' }) => `${label}: ${description}`);
}

test('tasks are shown with what runs first, then what waits, then what has finished, newest first', () => {
  assert.deepEqual(texts(taskRows(all, NO_FILTER, NOW)), [
    'moved: running · 1.0 s · attempt 2 · on n2',
    'running: running · 4.0 s · on n1',
    'waits: queued',
    'failed: failed · 1.0 s · just now',
    'cancelled: cancelled · just now',
    'passed: 30.0 s · 1 min ago',
  ]);
});

test('filters leave out what was not asked for', () => {
  const names = (filter: Partial<typeof NO_FILTER>) =>
    taskRows(all, { ...NO_FILTER, ...filter }, NOW).map(({ label }) => label);
  assert.deepEqual(names({ onlyFailed: true }), ['failed']);
  const onBranches = [task('a', { branch: 'main' }), task('b', { branch: 'fix/1' }), task('c')];
  const onMain = taskRows(onBranches, { ...NO_FILTER, branches: ['main', 'other'] }, NOW);
  assert.deepEqual(
    onMain.map(({ label }) => label),
    ['a'],
  );
  assert.deepEqual(names({ onlyUnfinished: true }), ['moved', 'running', 'waits']);
  assert.deepEqual(names({ onlyFailed: true, onlyUnfinished: true }), ['moved', 'running', 'waits', 'failed']);
  assert.deepEqual(
    taskRows(all, { ...NO_FILTER, submitter: 'you' }, NOW).map(({ label }) => label),
    ['failed'],
  );
});

test('a row keeps its id while its task lives, and differs when its duration has grown', () => {
  const [before, after] = [taskRow(running, NOW), taskRow(running, NOW + 1000)];
  assert.equal(before.id, after.id);
  assert.ok(!isSameRow(before, after));
  assert.ok(isSameRow(taskRow(passed, NOW), taskRow(passed, NOW + 500)));
});

test('what screen readers say holds what icons and colours tell', () => {
  for (const row of taskRows(all, NO_FILTER, NOW))
    assert.match(row.spoken, /^Task \w+, (running|queued|failed|passed|cancelled)/);
});

test('under a finished task are its lost attempts, why it failed, its steps and what it kept', () => {
  const record = { v: 1, name: 'build', steps: [], submitted: 0, submitter: 'me' };
  const past = [{ attempt: 1, fence: 1, node: 'n1', claimed: 0, end: 'lost' as const }];
  const view: TaskView = {
    state: 'finished',
    id: failed.id,
    task: record,
    past,
    result: {
      v: 1,
      outcome: 'failed',
      message: 'Step 2 exited with 3',
      fence: 2,
      attempt: 2,
      node: 'n2',
      instance: 'i',
      times: { submitted: 0, finished: 1 },
      steps: [
        { name: 'install', outcome: 'passed', exitCode: 0, started: 0, finished: 500 },
        { name: 'test', outcome: 'failed', exitCode: 3, started: 500, finished: 2500 },
        { name: 'pack', outcome: 'skipped' },
      ],
      log: { bytes: 0, lines: 0 },
      artifacts: { count: 1, bytes: 1 },
      past,
      task: record,
    },
  };
  assert.deepEqual(texts(taskChildren(view, [{ path: 'dist/a.js', size: 1400, sha256: '' }], NOW)), [
    'Attempt 1: lost with its node · on n1',
    'Step 2 exited with 3: ',
    'install: 500 ms',
    'test: failed · exit code 3 · 2.0 s',
    'pack: skipped',
    'dist/a.js: 1.4 KB',
  ]);
});

test('nodes are shown by name, with how busy they are and what they run', () => {
  const nodes = [node('n2', { labels: ['gpu'] }), node('n1'), node('n3', { draining: true, slots: 0 })];
  assert.deepEqual(texts(nodeRows(nodes, all)), [
    'n1: 1 of 2 slots busy',
    'n2: 1 of 2 slots busy · gpu',
    'n3: draining · runs no tasks',
  ]);
  assert.deepEqual(
    nodeChildren('n1', all, NOW).map(({ label }) => label),
    ['running'],
  );
});

test('a task that takes several slots of a node keeps all of them busy', () => {
  const large = task('large', { state: 'running', claimed: NOW, node: 'n4', attempt: 1, slots: 3 });
  assert.deepEqual(texts(nodeRows([node('n4', { slots: 4 })], [large])), ['n4: 3 of 4 slots busy']);
});

test('the queue is shown in its order, with why each task waits', () => {
  const urgent = { ...task('urgent'), id: '0'.padEnd(27, '1') };
  assert.deepEqual(texts(queueRows([queued, urgent], [node('n1')], NOW)), [
    'urgent: next, when one of 1 node is free',
    'waits: 1 task ahead of it, 1 node it may run on',
  ]);
});

test('of a long queue its beginning is shown, and how much more waits', () => {
  const many = Array.from({ length: 10_200 }, (_, at) => ({
    ...task(`t${at}`),
    id: `5${String(at).padStart(26, '0')}`,
  }));
  const rows = texts(queueRows(many, [node('n1')], NOW));
  assert.deepEqual(
    [rows.length, rows[0], rows[199], rows[200]],
    [
      201,
      't0: next, when one of 1 node is free',
      't199: 199 tasks ahead of it, 1 node it may run on',
      'and 10000 more: ',
    ],
  );
});

test('every row has a kind that menus know', () => {
  for (const row of [...taskRows(all, NO_FILTER, NOW), ...nodeRows([node('n1')], all)])
    assert.ok(ROW_KINDS.includes(row.kind));
});
