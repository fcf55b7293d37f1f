import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { Session } from '../../node-runtime/cluster/session.ts';
import { cancelTask } from '../../node-runtime/queue/cancel.ts';
import { readTaskState } from '../../node-runtime/queue/records.ts';
import type { Executor } from '../../node-runtime/runner/executor.ts';
import { runAttempt } from '../../node-runtime/runner/run-attempt.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { CiError, type ErrorCode } from '../../shared/errors.ts';
import type { TaskId } from '../../shared/ids.ts';
import { compete, idleExecutor, NOTHING_DONE } from '../support/competitor.ts';
import { scriptedCommits, touches } from '../support/scripted-store.ts';
import { testCluster } from '../support/test-cluster.ts';
import { claim, claimant, eventually, submit } from '../support/test-tasks.ts';

const signal = neverAborted;
const onExecuted = () => undefined;

async function holdOne(cluster: Cluster, id: TaskId) {
  const session = await Session.open(cluster, () => undefined, signal);
  const held = await claim(cluster, id, { ...(await claimant(cluster, 'n1')), lease: session.lease });
  return { session, held };
}

/** The store cannot be reached by whoever completes this task, as long as the test says. */
function whileAway(cluster: Cluster, id: TaskId, isAway: () => boolean, code: ErrorCode = 'unavailable') {
  let tries = 0;
  const away = scriptedCommits(cluster, async (transaction, commit) => {
    if (!touches(transaction, cluster.keys.completed(id)) || !isAway()) return commit(transaction);
    tries++;
    throw new CiError(code, 'Cannot commit as the store is away');
  });
  return { away, tries: () => tries };
}

for (const code of ['unavailable', 'unauthenticated', 'forbidden'] as const)
  test(`a verdict waits for a store that is ${code}, and is recorded when that is over`, async () => {
    await using cluster = await testCluster();
    const id = await submit(cluster);
    const { session, held } = await holdOne(cluster, id);
    let isAway = true;
    const { away, tries } = whileAway(cluster, id, () => isAway, code);
    const attempt = runAttempt({ cluster: away, session, executor: idleExecutor, handBack: signal, onExecuted }, held);
    await eventually('it tries again', () => tries() >= 3);
    isAway = false;
    assert.equal((await attempt).kind, 'completed');
    assert.equal((await readTaskState(cluster, id, signal)).completed?.value.fence, held.fence);
  });

test('the next task runs while the end of the last one is being recorded', async () => {
  await using cluster = await testCluster();
  const first = await submit(cluster);
  let isAway = true;
  const { away, tries } = whileAway(cluster, first, () => isAway);
  await using _node = await compete(away, 'n1', { slots: 1 });
  await eventually('it tries to record the first', () => tries() >= 1);
  const second = await submit(cluster);
  const completed = async (id: TaskId) => (await readTaskState(cluster, id, signal)).completed;
  await eventually('the second is completed', () => completed(second));
  assert.equal(await completed(first), undefined);
  isAway = false;
  await eventually('the first is completed', () => completed(first));
});

test('a verdict whose session ends while the store is away is dropped, and the task is run again by others', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster);
  const { session, held } = await holdOne(cluster, id);
  const { away, tries } = whileAway(cluster, id, () => true);
  const attempt = runAttempt({ cluster: away, session, executor: idleExecutor, handBack: signal, onExecuted }, held);
  await eventually('it tries', () => tries() >= 1);
  await session.close(signal);
  assert.deepEqual(await attempt, { kind: 'fenced' });
  await using _other = await compete(cluster, 'n2');
  const { value } = await eventually('completed', async () => (await readTaskState(cluster, id, signal)).completed);
  assert.deepEqual([value.node, value.attempt], ['n2', 2]);
});

test('attempts of a session that was lost touch nothing of the same task claimed under the next session', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster);
  const old = await holdOne(cluster, id);
  const go = Promise.withResolvers<void>();
  const stubborn: Executor = {
    execute: async () => {
      await go.promise;
      return NOTHING_DONE;
    },
  };
  const zombie = runAttempt(
    { cluster, session: old.session, executor: stubborn, handBack: signal, onExecuted },
    old.held,
  );
  await old.session.close(signal);
  const next = await holdOne(cluster, id);
  go.resolve();
  assert.deepEqual(await zombie, { kind: 'fenced' });
  const { lock, completed } = await readTaskState(cluster, id, signal);
  assert.equal(lock?.revision, next.held.fence);
  assert.equal(completed, undefined);
});

test('a cancellation that comes while the verdict is being recorded changes it no more', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster);
  const { session, held } = await holdOne(cluster, id);
  let isAway = true;
  const { away, tries } = whileAway(cluster, id, () => isAway);
  const attempt = runAttempt({ cluster: away, session, executor: idleExecutor, handBack: signal, onExecuted }, held);
  await eventually('it tries', () => tries() >= 1);
  assert.equal(await cancelTask(cluster, id, { by: 'ann' }, signal), true);
  isAway = false;
  assert.equal((await attempt).kind, 'completed');
  assert.equal((await readTaskState(cluster, id, signal)).completed?.value.outcome, 'passed');
});

test('an attempt leaves no listeners on the signals of its node', async () => {
  await using cluster = await testCluster();
  const handBack = new AbortController();
  const session = await Session.open(cluster, () => undefined, signal);
  for (let i = 0; i < 20; i++) {
    const held = await claim(cluster, await submit(cluster), { ...(await claimant(cluster)), lease: session.lease });
    await runAttempt({ cluster, session, executor: idleExecutor, handBack: handBack.signal, onExecuted }, held);
  }
  assert.equal(getEventListeners(handBack.signal, 'abort').length, 0);
  assert.equal(getEventListeners(session.lost, 'abort').length, 0);
});
