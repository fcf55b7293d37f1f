import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkVerdicts } from './check-verdicts.ts';
import { type Job, KINDS } from './task-kinds.ts';

function verdict(outcome: string, changes: Partial<Job>, node = 'n1'): string[] {
  const job = { ...KINDS.quick(), exitCode: 0, isCancelled: false, ...changes };
  const completed = new Map([['a', { task: 'a', fence: 3, revision: 4, at: 0, outcome, attempt: 1 }]]);
  const claims = [{ task: 'a', fence: 3, node, instance: node, attempt: 1, at: 0 }];
  const isExcused = (nodeId: string) => nodeId === 'full';
  return checkVerdicts({ submissions: [{ id: 'a', job }], claims, completed, isExcused }).map(({ text }) => text);
}

test('a task that does nothing wrong has passed, or the cluster says that it has failed itself', () => {
  assert.deepEqual(verdict('passed', {}), []);
  assert.deepEqual(verdict('infrastructure-lost', {}), []);
  assert.deepEqual(verdict('failed', {}), ['failed, though it ends with 0']);
  assert.deepEqual(verdict('failed', {}, 'full'), []);
  assert.deepEqual(verdict('invalid', {}), ['invalid, though it ends with 0']);
  assert.deepEqual(verdict('timed-out', {}), ['timed-out, though it ends with 0']);
});

test('a task that fails has not passed', () => {
  assert.deepEqual(verdict('failed', { exitCode: 7 }), []);
  assert.deepEqual(verdict('passed', { exitCode: 7 }), ['passed, though it ends with 7']);
});

test('nobody is cancelled unasked', () => {
  assert.deepEqual(verdict('cancelled', { isCancelled: true }), []);
  assert.deepEqual(verdict('passed', { isCancelled: true }), []);
  assert.deepEqual(verdict('cancelled', {}), ['cancelled, though it ends with 0']);
});
