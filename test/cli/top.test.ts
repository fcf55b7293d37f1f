import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeView, TaskSummary } from '../../shared/api.ts';
import { makeStyle } from '../../node-runtime/cli/style.ts';
import { topLines } from '../../node-runtime/cli/top-lines.ts';
import { TestCli } from '../support/run-cli.ts';
import { testApi } from '../support/test-api.ts';
import { claim, claimant, eventually, submit } from '../support/test-tasks.ts';

const NOW = 1_000_000_000;
const PLAIN = makeStyle(false);
const node = (name: string, changes: Partial<NodeView> = {}): [string, NodeView] => [
  name,
  {
    v: 1,
    node: name,
    instance: name,
    address: `http://${name}:7100`,
    slots: 2,
    labels: ['linux'],
    version: '1.0.0',
    started: NOW - 3_600_000,
    draining: false,
    isolation: 'bubblewrap',
    ...changes,
  },
];
const task = (id: string, changes: Partial<TaskSummary>): [string, TaskSummary] => [
  id,
  { id, name: `task ${id}`, state: 'queued', submitter: 'erika', submitted: NOW - 60_000, ...changes },
];
const runs = (id: string, on: string, forMs = 5000): [string, TaskSummary] =>
  task(id, { state: 'running', node: on, claimed: NOW - forMs, attempt: 1 });

const layout = { title: 'acme/ci', now: NOW, columns: 120, rows: undefined, style: PLAIN };

test('busy nodes and what has run for longest come first', () => {
  const nodes = new Map([node('idle'), node('busy')]);
  const tasks = new Map([runs('t1', 'busy'), runs('t2', 'busy', 90_000)]);
  const lines = topLines({ tasks, nodes }, layout);
  assert.match(lines[1]!, /^2 nodes with 4 slots · 2 running · 0 queued · 0 ended in 15 min$/);
  const order = lines.map(line => /^(busy|idle|t1|t2) /.exec(line)?.[1]).filter(Boolean);
  assert.deepEqual(order, ['busy', 'idle', 't2', 't1']);
  assert.match(lines.find(line => line.startsWith('busy'))!, /██████████ 2 of 2 +alive +linux/);
});

test('a task that waits says for how long and why, and how many wait is counted', () => {
  const nodes = new Map([node('n1')]);
  const tasks = new Map([
    task('t1', { labels: ['gpu'] }),
    task('t2', { submitted: NOW - 5000 }),
    task('t3', { slots: 3, submitted: NOW - 5000 }),
  ]);
  const lines = topLines({ tasks, nodes }, layout);
  assert.match(lines[1]!, /3 queued, the oldest for 1 min/);
  assert.match(lines.find(line => line.startsWith('t1 '))!, /no node has the label gpu/);
  assert.match(lines.find(line => line.startsWith('t2 '))!, /1 task ahead of it/);
  assert.match(lines.find(line => line.startsWith('t3 '))!, /no node that it may run on has 3 slots/);
});

test('what ended lately is shown with its outcome, what ended long ago is not', () => {
  const end = (id: string, outcome: TaskSummary['outcome'], agoMs: number) =>
    task(id, { state: 'finished', outcome: outcome!, claimed: NOW - agoMs - 2000, finished: NOW - agoMs });
  const tasks = new Map([end('t1', 'passed', 60_000), end('t2', 'failed', 30_000), end('t3', 'failed', 3_600_000)]);
  const lines = topLines({ tasks, nodes: new Map() }, layout);
  assert.match(lines[1]!, /2 ended in 15 min, 1 of them badly/);
  assert.deepEqual(
    lines.filter(line => /^t[123] /.test(line)).map(line => line.replace(/ +/g, ' ').split(' ').slice(0, 5).join(' ')),
    ['t2 task t2 ✗ failed', 't1 task t1 ✓ passed'],
  );
});

test('a screen that is too small shows some of each part, and says how much is left out', () => {
  const nodes = new Map([node('n1', { slots: 100 })]);
  const tasks = new Map([
    ...Array.from({ length: 40 }, (_, i) => runs(`r${i}`, 'n1')),
    ...Array.from({ length: 60 }, (_, i) => task(`q${i}`, {})),
  ]);
  const lines = topLines({ tasks, nodes }, { ...layout, columns: 80, rows: 24 });
  assert.ok(lines.length <= 24, `${lines.length} lines`);
  for (const line of lines) assert.ok(line.length <= 80, line);
  const left = lines.filter(line => /^… \d+ more$/.test(line)).map(line => Number(/\d+/.exec(line)![0]));
  const shown = lines.filter(line => /^[rq]\d/.test(line)).length;
  assert.equal(shown + left.reduce((sum, count) => sum + count, 0), 100);
});

test('without a terminal it is printed once', async () => {
  await using api = await testApi();
  await submit(api.cluster, { name: 'lint' });
  const env = { SIMPLE_CI_URL: api.url, SIMPLE_CI_TOKEN: api.adminToken };
  const { code, out, err } = await new TestCli({ env }).run('top');
  assert.equal(code, 0, err);
  assert.match(out, /seen through n1\n0 nodes .* 1 queued/);
  assert.match(out, /QUEUED .*\n5\w+ +lint .*no node is there to run it\n$/);
});

test('on a terminal it is a screen that follows the cluster, and is given back at Ctrl-C', async () => {
  await using api = await testApi();
  const id = await submit(api.cluster, { name: 'lint' });
  const env = { SIMPLE_CI_URL: api.url, SIMPLE_CI_TOKEN: api.adminToken };
  const terminal = new TestCli({ env, columns: 100, rows: 30 });
  const running = terminal.run('top');
  const screen = () => terminal.out.slice(terminal.out.lastIndexOf('\u001b[H'));
  await eventually('the task is seen to wait', () => /QUEUED/.test(screen()) || undefined);
  await claim(api.cluster, id, await claimant(api.cluster));
  await eventually('the task is seen to run', () => /1 running · 0 queued/.test(screen()) || undefined);
  terminal.interrupt();
  await running;
  assert.match(terminal.out, /^\u001b\[\?1049h/);
  assert.match(terminal.out, /\u001b\[\?1049l$/);
});
