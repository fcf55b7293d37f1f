import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeView, TaskSummary } from '../../shared/api.ts';
import type { TaskId } from '../../shared/ids.ts';
import { sparingly } from '../../node-runtime/cli/follow-task.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { explainQueue, type QueueExplanation } from '../../node-runtime/cli/explain-queue.ts';

const id = '5aaaaaaaaaaaaaaaaaaaaaaaaab' as TaskId;
const queued = (other: string) => ({ id: other, state: 'queued' }) as TaskSummary;
const node = (labels: string[] = [], more: Partial<NodeView> = {}) =>
  ({ node: 'n1', labels, slots: 2, draining: false, ...more }) as NodeView;

const explanations: [string, QueueExplanation][] = [
  ['no node is there to run it', explainQueue(id, {}, [], [])],
  ['no node is there to run it', explainQueue(id, {}, [], [node([], { draining: true }), node([], { slots: 0 })])],
  ['no node has 2 labels gpu, linux', explainQueue(id, { labels: ['gpu', 'linux'] }, [], [node(['linux'])])],
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

test('lines that stay say a reason once, and its numbers again after half a minute', async () => {
  const clock = new FakeClock();
  const said: string[] = [];
  const say = sparingly(clock, ({ text }) => said.push(text));
  const wait = (count: number, nodes = [node()]) =>
    say(
      explainQueue(
        id,
        {},
        Array.from({ length: count }, (_, at) => queued(`4${at}`)),
        nodes,
      ),
    );
  for (let ahead = 97; ahead > 50; ahead--) wait(ahead);
  await clock.advance(29_999);
  wait(50);
  await clock.advance(1);
  wait(49);
  wait(0);
  wait(0, []);
  assert.deepEqual(said, [
    '97 tasks ahead of it, 1 node it may run on',
    '49 tasks ahead of it, 1 node it may run on',
    'next, when one of 1 node is free',
    'no node is there to run it',
  ]);
});
