import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { cancelTask } from '../../node-runtime/queue/cancel.ts';
import { listCompleted } from '../../node-runtime/queue/list-tasks.ts';
import { readTaskState } from '../../node-runtime/queue/records.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { RestingTasks } from '../../node-runtime/queue/resting-tasks.ts';
import type { TaskId } from '../../shared/ids.ts';
import type { Executor } from '../../node-runtime/runner/executor.ts';
import { compete, NOTHING_DONE } from '../support/competitor.ts';
import { testCluster } from '../support/test-cluster.ts';
import { claim, claimant, eventually, submit } from '../support/test-tasks.ts';

const signal = neverAborted;

async function allCompleted(cluster: Cluster, ids: readonly TaskId[]): Promise<void> {
  await eventually(
    `${ids.length} tasks completed`,
    async () => (await listCompleted(cluster, signal)).length === ids.length || undefined,
    60_000,
  );
}

function submitMany(cluster: Cluster, count: number, changes = {}): Promise<TaskId[]> {
  return Promise.all(Array.from({ length: count }, () => submit(cluster, changes)));
}

/** An executor that runs until it is stopped, and counts what runs. */
function untilStopped() {
  const running = new Set<TaskId>();
  const executor: Executor = {
    execute: async (held, stop) => {
      running.add(held.id);
      if (!stop.aborted)
        await new Promise<void>(resolve => stop.addEventListener('abort', () => resolve(), { once: true }));
      running.delete(held.id);
      if (stop.reason.why === 'lost') return { kind: 'lost' };
      if (stop.reason.why === 'drained') return { kind: 'unfinished', end: 'drained', message: 'drained' };
      return {
        kind: 'finished',
        verdict: { ...NOTHING_DONE.verdict, outcome: 'cancelled', message: stop.reason.message },
      };
    },
  };
  return { running, executor };
}

test('every task is run once, whoever competes for it', async () => {
  await using cluster = await testCluster();
  const ids = await submitMany(cluster, 150);
  const nodes = await Promise.all(['n1', 'n2', 'n3', 'n4'].map(name => compete(cluster, name, { slots: 4 })));
  await allCompleted(cluster, ids);
  for (const node of nodes) await node[Symbol.asyncDispose]();
  const claimed = nodes.flatMap(node => node.claims.map(held => held.id));
  assert.equal(new Set(claimed).size, 150);
  assert.equal(claimed.length, 150);
});

test('a lone node takes tasks in the order of the queue: urgent ones first, then as they came', async () => {
  await using cluster = await testCluster();
  const ids: TaskId[] = [];
  for (const priority of [5, 9, 5, 0, 7, 0]) ids.push(await submit(cluster, { priority }));
  // Its hesitation fades with its first wins; before that it chooses among a few.
  const warmUp = await submitMany(cluster, 40, { priority: 0, labels: ['warm'] });
  await using node = await compete(cluster, 'n1', { labels: ['warm'] });
  await allCompleted(cluster, [...ids, ...warmUp]);
  const order = node.claims.map(held => held.id).filter(id => ids.includes(id));
  assert.deepEqual(order.slice(-4), [...ids].sort().slice(-4));
});

test('a node takes only tasks whose labels it has and whose slots it can give', async () => {
  await using cluster = await testCluster();
  const gpu = await submit(cluster, { labels: ['gpu'] });
  const large = await submit(cluster, { slots: 3 });
  const plain = await submit(cluster, { labels: ['linux'] });
  await using _node = await compete(cluster, 'n1', { slots: 2, labels: ['linux'] });
  await eventually('the plain task completed', async () => (await readTaskState(cluster, plain, signal)).completed);
  assert.ok((await readTaskState(cluster, gpu, signal)).task);
  assert.ok((await readTaskState(cluster, large, signal)).task);
});

test('tasks behind a thousand that do not fit are found', async () => {
  await using cluster = await testCluster();
  await submitMany(cluster, 1100, { labels: ['gpu'] });
  const plain = await submit(cluster);
  await using _node = await compete(cluster, 'n1');
  await eventually('the plain task completed', async () => (await readTaskState(cluster, plain, signal)).completed);
});

test('a queue longer than the window is run to its end', async () => {
  await using cluster = await testCluster();
  const ids = await submitMany(cluster, 700);
  await using node = await compete(cluster, 'n1', { slots: 8 });
  await allCompleted(cluster, ids);
  assert.equal(node.claims.length, 700);
});

test('a task whose holder has died is taken up when its lock has gone', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster);
  const dead = await claimant(cluster, 'dead');
  await claim(cluster, id, dead);
  await using _node = await compete(cluster, 'n1');
  await cluster.store.revokeLease(dead.lease, { signal, timeoutMs: 1000 });
  const completed = await eventually('completed', async () => (await readTaskState(cluster, id, signal)).completed);
  assert.equal(completed.value.attempt, 2);
  assert.deepEqual(
    completed.value.past.map(past => past.end),
    ['lost'],
  );
});

test('a full node leaves tasks to others, and takes the next when a slot is free', async () => {
  await using cluster = await testCluster();
  const { running, executor } = untilStopped();
  await using node = await compete(cluster, 'n1', { slots: 2, executor });
  const ids = await submitMany(cluster, 3);
  await eventually('two tasks run', () => running.size === 2 || undefined);
  assert.equal(node.slots.free, 0);
  const [first] = running;
  await cancelTask(cluster, first!, { by: 'ann' }, signal);
  await eventually('the third runs', () => (running.size === 2 && !running.has(first!)) || undefined);
  assert.equal(ids.filter(id => running.has(id)).length, 2);
});

test('a running task that is cancelled is stopped at once and completed as cancelled', async () => {
  await using cluster = await testCluster();
  const { running, executor } = untilStopped();
  await using _node = await compete(cluster, 'n1', { executor });
  const id = await submit(cluster);
  await eventually('it runs', () => running.has(id) || undefined);
  await cancelTask(cluster, id, { by: 'ann' }, signal);
  const completed = await eventually('completed', async () => (await readTaskState(cluster, id, signal)).completed);
  assert.equal(completed.value.outcome, 'cancelled');
});

test('a task cancelled while its holder was dying ends as cancelled, not run again', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster);
  const dead = await claimant(cluster, 'dead');
  await claim(cluster, id, dead);
  await cancelTask(cluster, id, { by: 'ann' }, signal);
  await cluster.store.revokeLease(dead.lease, { signal, timeoutMs: 1000 });
  await using node = await compete(cluster, 'n1');
  const completed = await eventually('completed', async () => (await readTaskState(cluster, id, signal)).completed);
  assert.equal(completed.value.outcome, 'cancelled');
  assert.equal(node.claims.length, 0);
});

test('a node that drains hands back what it runs, uncharged, and another takes it up at once', async () => {
  await using cluster = await testCluster();
  const { running, executor } = untilStopped();
  const leaving = await compete(cluster, 'leaving', { executor });
  const id = await submit(cluster);
  await eventually('it runs', () => running.has(id) || undefined);
  await using _staying = await compete(cluster, 'staying');
  await leaving[Symbol.asyncDispose]();
  const completed = await eventually('completed', async () => (await readTaskState(cluster, id, signal)).completed);
  assert.equal(completed.value.node, 'staying');
  assert.deepEqual(
    completed.value.past.map(past => past.end),
    ['drained'],
  );
});

test('an attempt whose lock is deleted under it is stopped and completes nothing', async () => {
  await using cluster = await testCluster();
  const { running, executor } = untilStopped();
  await using node = await compete(cluster, 'n1', { executor });
  const id = await submit(cluster);
  await eventually('it runs', () => running.has(id) || undefined);
  await node.session.close(signal);
  await eventually('it is stopped', () => running.size === 0 || undefined);
  const { task, lock, completed } = await readTaskState(cluster, id, signal);
  assert.deepEqual([task !== undefined, lock, completed], [true, undefined, undefined]);
});

test('a task whose rest ends just as it is looked at is claimed at once', async () => {
  await using cluster = await testCluster();
  class EndsOnceSeen extends RestingTasks {
    #isSeen = false;
    #isOver = false;
    override has(): boolean {
      this.#isSeen = true;
      return !this.#isOver;
    }
    override get nextMs(): number | undefined {
      this.#isOver = this.#isSeen;
      return this.#isOver ? undefined : 1;
    }
  }
  const id = await submit(cluster);
  await using _node = await compete(cluster, 'n1', { resting: new EndsOnceSeen(cluster.clock) });
  await eventually('it is completed', async () => (await readTaskState(cluster, id, signal)).completed, 10_000);
});
