import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeView, TaskSummary } from '../../shared/api.ts';
import type { TaskId } from '../../shared/ids.ts';
import { explainQueue, type QueueExplanation } from '../../shared/explain-queue.ts';

const id = '5aaaaaaaaaaaaaaaaaaaaaaaaab' as TaskId;
const queued = (other: string) => ({ id: other, state: 'queued' }) as TaskSummary;
const node = (labels: string[] = [], more: Partial<NodeView> = {}) =>
  ({ node: 'n1', labels, slots: 2, draining: false, ...more }) as NodeView;

const explanations: [string, QueueExplanation][] = [
  ['no node is there to run it', explainQueue(id, {}, [], [])],
  ['no node is there to run it', explainQueue(id, {}, [], [node([], { draining: true }), node([], { slots: 0 })])],
  ['no node has all of the labels gpu, linux', explainQueue(id, { labels: ['gpu', 'linux'] }, [], [node(['linux'])])],
  ['no node that it may run on has 4 slots', explainQueue(id, { slots: 4 }, [], [node()])],
  ['next, when one of 1 node is free', explainQueue(id, {}, [queued(id)], [node()])],
];

test('a task that waits is told why', () => {
  for (const [expected, actual] of explanations) assert.equal(actual.text, expected);
});

test('only tasks that come earlier in the queue are ahead', () => {
  const tasks = [queued('4zzzzzzzzzzzzzzzzzzzzzzzzzz'), queued(id), queued('5zzzzzzzzzzzzzzzzzzzzzzzzzz')];
  assert.equal(explainQueue(id, {}, tasks, [node()]).text, '1 task ahead of it, 1 node it may run on');
});
