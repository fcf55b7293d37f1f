import assert from 'node:assert/strict';
import { test } from 'node:test';
import { taskTrace } from '../../node-runtime/queue/task-trace.ts';
import type { TaskId } from '../../shared/ids.ts';
import type { TaskResult } from '../../shared/result.ts';

const ID = '5abcdefghijklmnopqrstuvwxy' as TaskId;
const RESULT: TaskResult = {
  v: 1,
  outcome: 'failed',
  message: 'Step 2 of 2 failed: exit code 3',
  fence: 90,
  attempt: 2,
  node: 'n2',
  instance: 'i2',
  times: { submitted: 1000, claimed: 41_000, started: 42_000, finished: 60_000 },
  steps: [
    { name: 'install', outcome: 'passed', exitCode: 0, started: 42_000, finished: 50_000 },
    { name: 'test', outcome: 'failed', exitCode: 3, started: 50_000, finished: 59_000 },
    { name: 'never', outcome: 'skipped' },
  ],
  log: { bytes: 10, lines: 1 },
  artifacts: { count: 0, bytes: 0 },
  past: [{ attempt: 1, fence: 70, node: 'n1', claimed: 2000, end: 'lost' }],
  task: { v: 1, name: 'build', steps: [{ run: 'true' }], submitter: 'erika', submitted: 1000 } as TaskResult['task'],
};

test('a trace tells where the time of a task went, over all attempts', () => {
  const spans = taskTrace(ID, 'acme/ci', RESULT);
  const names = new Map(spans.map(span => [span.id, span.name]));
  assert.deepEqual(
    spans.map(({ name, start, end, parent }) => [name, start, end, parent && names.get(parent)]),
    [
      ['task build', 1000, 60_000, undefined],
      ['queued', 1000, 2000, 'task build'],
      ['attempt 1', 2000, 41_000, 'task build'],
      ['attempt 2', 41_000, 60_000, 'task build'],
      ['prepare files', 41_000, 42_000, 'attempt 2'],
      ['step install', 42_000, 50_000, 'attempt 2'],
      ['step test', 50_000, 59_000, 'attempt 2'],
      ['store log and artifacts', 59_000, 60_000, 'attempt 2'],
    ],
  );
  assert.deepEqual(
    spans.filter(({ failure }) => failure !== undefined).map(({ name, failure }) => [name, failure]),
    [
      ['task build', 'Step 2 of 2 failed: exit code 3'],
      ['attempt 1', 'lost'],
      ['attempt 2', 'Step 2 of 2 failed: exit code 3'],
      ['step test', 'failed'],
    ],
  );
});

test('the ids of a trace follow from the task, and no two spans share one', () => {
  const [first, second] = [taskTrace(ID, 'acme/ci', RESULT), taskTrace(ID, 'acme/ci', RESULT)];
  assert.deepEqual(first, second);
  assert.equal(new Set(first.map(({ id }) => id)).size, first.length);
  for (const { trace, id } of first) {
    assert.match(trace, /^[0-9a-f]{32}$/);
    assert.match(id, /^[0-9a-f]{16}$/);
  }
});

test('no span ends before it starts, whatever the clocks of two nodes say', () => {
  const times = { submitted: 50_000, claimed: 41_000, started: 42_000, finished: 45_000 };
  for (const { start, end } of taskTrace(ID, 'acme/ci', { ...RESULT, past: [], times })) assert.ok(end >= start);
});

test('a task that nobody claimed has a trace of its waiting', () => {
  const times = { submitted: 1000, finished: 3000 };
  const spans = taskTrace(ID, 'acme/ci', { ...RESULT, outcome: 'cancelled', past: [], steps: [], times, fence: 0 });
  assert.deepEqual(
    spans.map(({ name }) => name),
    ['task build', 'queued'],
  );
});
