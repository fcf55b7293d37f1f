import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { cancelTask } from '../../node-runtime/queue/cancel.ts';
import { claimTasks } from '../../node-runtime/queue/claim-loop.ts';
import { type Claim, readTaskState } from '../../node-runtime/queue/records.ts';
import { RestingTasks } from '../../node-runtime/queue/resting-tasks.ts';
import { Slots } from '../../node-runtime/queue/slots.ts';
import type { Executor } from '../../node-runtime/runner/executor.ts';
import { Session } from '../../node-runtime/cluster/session.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import type { CommitResult } from '../../node-runtime/store/store.ts';
import { CiError } from '../../shared/errors.ts';
import type { NodeId, TaskId } from '../../shared/ids.ts';
import { compete, NOTHING_DONE } from '../support/competitor.ts';
import { scriptedCommits, touches } from '../support/scripted-store.ts';
import { testCluster } from '../support/test-cluster.ts';
import { claim, claimant, eventually, submit } from '../support/test-tasks.ts';

const signal = neverAborted;
const LOST = { kind: 'ambiguous', cause: new CiError('ambiguous', 'The answer was lost') } as const;

/** An executor whose tasks run until the test lets them end. */
function untilTold() {
  const running = new Map<TaskId, () => void>();
  const executor: Executor = {
    execute: async ({ id }) => {
      await new Promise<void>(resolve => running.set(id, resolve));
      running.delete(id);
      return NOTHING_DONE;
    },
  };
  const finish = (id: TaskId) => running.get(id)?.();
  return { running, executor, finish };
}

test('claims, completions and releases whose answers are lost are recognised: every task is run once', async () => {
  await using cluster = await testCluster();
  let turn = 0;
  const flaky = scriptedCommits(cluster, async (transaction, commit) => {
    const fate = turn++ % 3;
    if (fate === 0) return LOST;
    const result = await commit(transaction);
    return fate === 1 && result.kind === 'committed' ? LOST : result;
  });
  await using node = await compete(flaky, 'n1', { slots: 4 });
  const ids = await Promise.all(Array.from({ length: 10 }, () => submit(cluster)));
  for (const id of ids) {
    const { value } = await eventually(
      'completed',
      async () => (await readTaskState(cluster, id, signal)).completed,
      90_000,
    );
    assert.equal(value.past.length, 0);
  }
  assert.equal(new Set(node.claims.map(held => held.id)).size, 10);
});

test('a claim whose answer was lost is found also when the first looks for it are refused', async () => {
  await using cluster = await testCluster();
  let looks = 0;
  const flaky = scriptedCommits(cluster, async (transaction, commit) => {
    const result = await commit(transaction);
    return transaction.then.some(each => 'put' in each && each.lease !== undefined) ? LOST : result;
  });
  const range = flaky.store.range;
  flaky.store.range = (request, call) => {
    if ('key' in request && request.key.endsWith('.lock') && looks++ < 2)
      throw new CiError('unauthenticated', 'Cannot read as the token has expired');
    return range(request, call);
  };
  await using _node = await compete(flaky, 'n1');
  const id = await submit(cluster);
  const { value } = await eventually('completed', async () => (await readTaskState(cluster, id, signal)).completed);
  assert.equal(value.attempt, 1);
});

test('a claim that arrives after it was given up is taken back, and the task is run', async () => {
  await using cluster = await testCluster();
  let arrived: Promise<CommitResult> | undefined;
  const slow = scriptedCommits(cluster, async (transaction, commit) => {
    if (arrived || !transaction.then.some(each => 'put' in each && each.lease !== undefined))
      return commit(transaction);
    arrived = systemClock.sleep(100, signal).then(() => commit(transaction));
    return LOST;
  });
  await using _node = await compete(slow, 'n1');
  const id = await submit(cluster);
  assert.equal((await eventually('it arrived', () => arrived)).kind, 'committed');
  const { value } = await eventually('completed', async () => (await readTaskState(cluster, id, signal)).completed);
  assert.equal(value.attempt, 2);
});

test('a store that refuses claims is not asked without a pause', async () => {
  await using cluster = await testCluster();
  let refusals = 0;
  const full = scriptedCommits(cluster, async (transaction, commit) => {
    if (!transaction.then.some(each => 'put' in each && each.lease !== undefined)) return commit(transaction);
    refusals++;
    throw new CiError('unavailable', 'Cannot commit as the store is full');
  });
  await submit(cluster);
  await using _node = await compete(full, 'n1');
  await systemClock.sleep(1500, signal);
  assert.ok(refusals >= 1 && refusals <= 10, `${refusals} tries in 1.5 s`);
});

test('a task whose attempts cannot be read keeps nobody from the tasks behind it', async () => {
  await using cluster = await testCluster();
  const first = await submit(cluster, { priority: 0 });
  const newer = { put: cluster.keys.attempts(first), value: '{"v":99}' };
  await cluster.store.commit({ when: [], then: [newer] }, { signal, timeoutMs: 1000 });
  let claims = 0;
  const counted = scriptedCommits(cluster, (transaction, commit) => {
    if (touches(transaction, cluster.keys.lock(first))) claims++;
    return commit(transaction);
  });
  await using _node = await compete(counted, 'n1');
  const second = await submit(cluster);
  await eventually('the second completed', async () => (await readTaskState(cluster, second, signal)).completed);
  assert.ok(claims <= 3, `${claims} claims of the first`);
  const { records } = await cluster.store.range(
    { key: cluster.keys.task(first), limit: 1 },
    { signal, timeoutMs: 1000 },
  );
  assert.equal(records.length, 1);
});

test('a large task is taken when the slots are free that it needs, also after the node has been full for long', async () => {
  await using cluster = await testCluster();
  const { running, executor, finish } = untilTold();
  await using node = await compete(cluster, 'n1', { slots: 2, executor });
  const small = [await submit(cluster), await submit(cluster)];
  await eventually('it is full', () => running.size === 2);
  await systemClock.sleep(5500, signal);
  const large = await submit(cluster, { slots: 2 });
  finish(small[0]!);
  await eventually('one slot is free', () => node.slots.free === 1);
  await systemClock.sleep(300, signal);
  finish(small[1]!);
  await eventually('the large task runs', () => running.has(large), 5000);
  finish(large);
});

test('an error that is none of the store’s ends the loop with it, and is not thrown into the void', async () => {
  await using cluster = await testCluster();
  const broken = scriptedCommits(cluster, async () => {
    throw new TypeError('a bug');
  });
  const session = await Session.open(cluster, () => undefined, signal);
  await submit(cluster);
  await assert.rejects(claimTasks(loopOptions(broken, session), signal), /a bug/);
});

test('a task whose lock goes while its cancellation is written is ended at once', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster);
  const dying = await claimant(cluster, 'dying');
  await claim(cluster, id, dying);
  let isFirst = true;
  const racing = scriptedCommits(cluster, async (transaction, commit) => {
    if (isFirst) await cluster.store.revokeLease(dying.lease, { signal, timeoutMs: 1000 });
    isFirst = false;
    return commit(transaction);
  });
  assert.equal(await cancelTask(racing, id, { by: 'ann' }, signal), true);
  assert.equal((await readTaskState(cluster, id, signal)).completed?.value.outcome, 'cancelled');
});

test('a claim that is decided while the node drains is running when the loop has ended', async () => {
  await using cluster = await testCluster();
  const draining = new AbortController();
  const slow = scriptedCommits(cluster, async (transaction, commit) => {
    const result = await commit(transaction);
    draining.abort();
    return result;
  });
  const session = await Session.open(cluster, () => undefined, signal);
  const id = await submit(cluster);
  const begun: TaskId[] = [];
  const run = async (held: Claim) => void begun.push(held.id);
  await claimTasks({ ...loopOptions(slow, session), run }, draining.signal);
  assert.deepEqual(begun, [id]);
});

function loopOptions(cluster: Cluster, session: Session) {
  return {
    cluster,
    node: 'n1' as NodeId,
    instance: 'i',
    address: () => '',
    slots: new Slots(1),
    labels: new Set<string>(),
    session: () => session,
    accepts: () => true,
    resting: new RestingTasks(cluster.clock),
    run: async () => undefined,
    observe: { claimed: () => undefined, lost: () => undefined },
  };
}
