import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../node-runtime/cluster/cluster.ts';
import type { NodeOptions } from '../node-runtime/options.ts';
import { History } from '../node-runtime/queue/history.ts';
import { readTaskState } from '../node-runtime/queue/records.ts';
import { NodeHealth } from '../node-runtime/queue/node-health.ts';
import { Slots } from '../node-runtime/queue/slots.ts';
import type { Executor } from '../node-runtime/runner/executor.ts';
import type { Supervisor } from '../node-runtime/runner/sandbox.ts';
import { SupervisorKeeper } from '../node-runtime/runner/supervisor-keeper.ts';
import { Node, type NodeParts, type NodeState } from '../node-runtime/running-node.ts';
import { neverAborted } from '../node-runtime/system/clock.ts';
import { createLogger } from '../node-runtime/system/logger.ts';
import { createMetrics } from '../node-runtime/system/metrics.ts';
import { CiError } from '../shared/errors.ts';
import type { NodeId, TaskId } from '../shared/ids.ts';
import { idleExecutor, NOTHING_DONE } from './support/competitor.ts';
import { FakeClock } from './support/fake-clock.ts';
import { scriptedCommits, touches } from './support/scripted-store.ts';
import { testCluster } from './support/test-cluster.ts';
import { submit } from './support/test-tasks.ts';

const signal = neverAborted;
const HOUR_MS = 3_600_000;
/** Handing back and leaving have 30 s and 5 s, and telling the cluster about it 3 s. */
const END_MS = 40_000;

/** A node whose neighbours are the test's: no process, no port, and a store that may be scripted. */
async function nodeOf(cluster: Cluster, changes: Partial<NodeParts> = {}) {
  const supervisor: Supervisor = {
    isolation: 'none',
    open: () => Promise.reject(new Error('Nothing is run here')),
    renewed: () => undefined,
    lost: neverAborted,
    [Symbol.asyncDispose]: async () => undefined,
  };
  const supervisors = new SupervisorKeeper(async () => supervisor, cluster.clock);
  await supervisors.begin();
  const state: NodeState = { session: undefined, isDraining: false, isRetired: false };
  const slots = new Slots(1);
  const health = new NodeHealth(cluster.clock);
  const parts: NodeParts = {
    cluster,
    nodeId: 'n1' as NodeId,
    instance: 'n1-instance',
    localToken: async () => '',
    api: { address: 'http://n1', stop: async () => undefined, [Symbol.asyncDispose]: async () => undefined },
    slots,
    health,
    supervisors,
    executor: idleExecutor,
    history: new History(cluster),
    member: () => ({
      ...{ v: 1, node: 'n1', instance: 'n1-instance', address: 'http://n1', slots: 1, labels: [], version: '0.0.0' },
      ...{ started: cluster.clock.now(), draining: state.isDraining, isolation: 'none' },
    }),
    keeping: { askInstance: async () => undefined },
    state,
    metrics: createMetrics({
      ...{ version: '0.0.0', node: 'n1', slots },
      leaseAgeMs: () => state.session?.age,
      claimPauseMs: () => health.pauseMs,
      logLagMs: () => 0,
      demand: async () => new Map(),
    }),
    logger: createLogger({ level: 'error', write: () => undefined }),
    ...changes,
  };
  const options = { slots: 1, labels: [], drainTimeoutMs: HOUR_MS, onNotice: () => undefined };
  const resources = new AsyncDisposableStack();
  const node = new Node(options as unknown as NodeOptions, parts, resources);
  await node.begin();
  return { node, resources, state, health, metrics: parts.metrics };
}

/** A store that takes a claim and then goes away, all but for the end of the lease: whether the claim was won stays unknown. */
function awayFromClaimOn(cluster: Cluster) {
  const away = { isAway: false };
  const gone = () => new CiError('unavailable', 'Cannot reach the store');
  const scripted = scriptedCommits(cluster, async (transaction, commit) => {
    if (away.isAway) throw gone();
    if (!transaction.then.some(each => 'put' in each && each.put.endsWith('.lock'))) return commit(transaction);
    await commit(transaction);
    away.isAway = true;
    return { kind: 'ambiguous', cause: gone() };
  });
  const { range, renewLease } = scripted.store;
  scripted.store.range = (...args) => (away.isAway ? Promise.reject(gone()) : range(...args));
  scripted.store.renewLease = (...args) => (away.isAway ? Promise.reject(gone()) : renewLease(...args));
  return { scripted, away };
}

for (const [what, tell, limitMs] of [
  ['within the drain timeout', () => undefined, HOUR_MS],
  ['at once when it is told to hurry', (node: Node) => node.hurry(), 0],
] as const) {
  test(`a node with a claim that a store which is away leaves undecided stops ${what}, and leaves no lock`, async () => {
    const clock = new FakeClock();
    await using cluster = await testCluster({ clock });
    const before = clock.sleeping;
    const { scripted, away } = awayFromClaimOn(cluster);
    const { node } = await nodeOf(scripted);
    const id = await submit(cluster);
    await clock.advanceUntil(() => away.isAway);
    assert.ok((await readTaskState(cluster, id, signal)).lock);
    const begun = clock.monotonic();
    let hasEnded = false;
    void node.ended.then(() => (hasEnded = true));
    const drained = node.drain();
    tell(node);
    await clock.advanceUntil(() => hasEnded, limitMs + END_MS);
    await drained;
    const took = clock.monotonic() - begun;
    assert.ok(took >= limitMs && took <= limitMs + END_MS, `${took} ms`);
    const { task, lock } = await readTaskState(cluster, id, signal);
    assert.deepEqual([task !== undefined, lock], [true, undefined]);
    assert.equal(clock.sleeping, before);
  });
}

async function ended(node: Node, clock: FakeClock): Promise<void> {
  let hasEnded = false;
  const drained = node.drain().then(() => {
    hasEnded = true;
  });
  await clock.advanceUntil(() => hasEnded);
  await drained;
}

/** Gives up these tasks, and passes the others. */
function givesUp(bad: ReadonlySet<TaskId>, end: 'source' | 'infrastructure') {
  const order: TaskId[] = [];
  const executor: Executor = {
    execute: async ({ id }) => {
      order.push(id);
      return bad.has(id) ? { kind: 'unfinished', end, message: 'Cannot reach it' } : NOTHING_DONE;
    },
  };
  return { order, executor };
}

test('tasks whose own source cannot be had keep nobody waiting: each rests, and the node goes on at once', async () => {
  const clock = new FakeClock();
  await using cluster = await testCluster({ clock });
  const bad = new Set<TaskId>();
  // More than the node looks at of the queue at once.
  for (let i = 0; i < 1100; i++) bad.add(await submit(cluster, { priority: 0 }));
  const good = [await submit(cluster), await submit(cluster)];
  const { order, executor } = givesUp(bad, 'source');
  const { node, health } = await nodeOf(cluster, { executor });
  await clock.advanceUntil(() => good.every(id => order.includes(id)), 10_000);
  assert.equal(health.pauseMs, 0);
  const tries = Math.max(...order.map(id => order.filter(other => other === id).length));
  assert.ok(tries <= 4, `${tries} attempts at one of them within 10 s`);
  const { attempts } = await readTaskState(cluster, order[0]!, signal);
  assert.ok(attempts!.value.lost >= 1, 'it is charged to the task');
  await ended(node, clock);
});

test('a node whose own fault it is that attempts fail says that it pauses, and its metrics show for how long', async () => {
  const clock = new FakeClock();
  await using cluster = await testCluster({ clock });
  const bad = new Set([await submit(cluster)]);
  const lines: string[] = [];
  const logger = createLogger({ level: 'warn', write: line => lines.push(line) });
  const { order, executor } = givesUp(bad, 'infrastructure');
  const { node, health, metrics } = await nodeOf(cluster, { executor, logger });
  await clock.advanceUntil(() => health.pauseMs > 0);
  assert.match(lines.join(''), /"seconds":1,"msg":"Claims nothing for a while, as an attempt failed by the fault/);
  assert.match(await metrics.registry.metrics(), /^simple_ci_claim_pause_seconds (1|0\.\d+)$/m);
  const behind = await submit(cluster);
  await clock.advance(health.pauseMs - 1);
  assert.equal(order.length, 1);
  await clock.advanceUntil(() => order.length > 1, 5000);
  assert.equal(order[1], behind, 'what has failed does not come first again');
  // Nothing but the end of its rest tells the node to look at it again.
  await clock.advanceUntil(() => order.filter(id => bad.has(id)).length === 3, 10_000);
  await ended(node, clock);
});

test('a node whose API cannot be stopped leaves all the same, and tells why', async () => {
  await using cluster = await testCluster();
  const api = { address: '', stop: () => Promise.reject(new Error('no stop')), [Symbol.asyncDispose]: async () => {} };
  const { node, resources, state } = await nodeOf(cluster, { api });
  let isDisposed = false;
  resources.defer(() => {
    isDisposed = true;
  });
  await assert.rejects(node.drain(), /no stop/);
  await assert.rejects(node.ended, /stopped by a bug: no stop/);
  assert.deepEqual([isDisposed, state.session?.lost.aborted], [true, true]);
});

test('a node that fails and then cannot let go of what it holds tells the first failure, when it has stopped', async () => {
  await using cluster = await testCluster();
  // The claim of a task is where a bug is met.
  const broken = scriptedCommits(cluster, async (transaction, commit) => {
    if (touches(transaction, cluster.keys.lock(id))) throw new TypeError('the first');
    return commit(transaction);
  });
  const id = await submit(cluster);
  const { node, resources } = await nodeOf(broken);
  let isDisposed = false;
  resources.defer(() => {
    isDisposed = true;
    throw new Error('the second');
  });
  await assert.rejects(node.ended, /stopped by a bug: the first/);
  assert.equal(isDisposed, true);
});
