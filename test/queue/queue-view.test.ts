import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import type { Executor } from '../../node-runtime/runner/executor.ts';
import type { WatchRequest } from '../../node-runtime/store/store.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import type { TaskId } from '../../shared/ids.ts';
import { type Competitor, compete, NOTHING_DONE } from '../support/competitor.ts';
import { scriptedCommits } from '../support/scripted-store.ts';
import { testCluster } from '../support/test-cluster.ts';
import { claim, claimant, eventually, submit } from '../support/test-tasks.ts';

const signal = neverAborted;
/** More than a node keeps in mind of the queue, by some. */
const LONG = 1500;
const NODES = 8;

/** Short, but long enough for many nodes to have a share of them. */
const briefly: Executor = {
  execute: async () => {
    await systemClock.sleep(5, signal);
    return NOTHING_DONE;
  },
};

/** A node, and what it has asked to be told of. */
interface Listener {
  readonly node: Competitor;
  readonly watches: readonly WatchRequest[];
}

async function listener(cluster: Cluster, name: string): Promise<Listener> {
  const watches: WatchRequest[] = [];
  const noted = scriptedCommits(cluster, (transaction, commit) => commit(transaction));
  const { watch } = noted.store;
  noted.store.watch = (request, ended) => {
    watches.push(request);
    return watch(request, ended);
  };
  return { node: await compete(noted, name, { executor: briefly }), watches };
}

function listeners(cluster: Cluster, count: number): Promise<Listener[]> {
  return Promise.all(Array.from({ length: count }, (_, at) => listener(cluster, `n${at}`)));
}

/** Whether it has looked at a stretch of the queue that does not begin with its head. */
const roams = ({ watches }: Listener) => watches.some(({ after }) => after !== undefined);

/** The tasks that have been claimed. */
const claimed = (all: readonly Listener[]) => all.flatMap(({ node }) => node.claims.map(({ id }) => id));

function submitMany(cluster: Cluster, count: number): Promise<TaskId[]> {
  return Promise.all(Array.from({ length: count }, () => submit(cluster)));
}

async function allEnded(all: readonly Listener[], count: number): Promise<void> {
  const ended = () => all.reduce((sum, { node }) => sum + node.endings.length, 0);
  await eventually(`${count} tasks ended`, () => ended() >= count, 120_000);
  await Promise.all(all.map(({ node }) => node[Symbol.asyncDispose]()));
}

test('many nodes at a long queue run every task once, each at stretches of its own', async () => {
  await using cluster = await testCluster();
  const ids = await submitMany(cluster, LONG);
  const all = await listeners(cluster, NODES);
  await allEnded(all, LONG);
  assert.deepEqual(claimed(all).sort(), ids.sort());
  assert.deepEqual(all.map(roams), new Array(NODES).fill(true));
});

test('a node alone at a long queue looks at its head only', async () => {
  await using cluster = await testCluster();
  await submitMany(cluster, LONG);
  const all = await listeners(cluster, 1);
  await allEnded(all, LONG);
  assert.deepEqual(all.map(roams), [false]);
});

test('an urgent task does not wait until the nodes have come to the end of a long queue', async () => {
  await using cluster = await testCluster();
  await submitMany(cluster, LONG);
  const all = await listeners(cluster, NODES);
  await eventually('they look at stretches', () => all.every(roams), 60_000);
  const urgent = await submit(cluster, { priority: 0 });
  await eventually('the urgent task is claimed', () => claimed(all).includes(urgent), 60_000);
  const left = LONG + 1 - claimed(all).length;
  await allEnded(all, LONG + 1);
  assert.ok(left > 0, 'It was claimed last');
});

test('a task whose holder dies is taken up by nodes that have passed it in a long queue', async () => {
  await using cluster = await testCluster();
  const first = await submit(cluster);
  const dying = await claimant(cluster, 'dying');
  await claim(cluster, first, dying);
  await submitMany(cluster, LONG);
  const all = await listeners(cluster, NODES);
  await eventually('they look at stretches', () => all.every(roams), 60_000);
  await cluster.store.revokeLease(dying.lease, { signal, timeoutMs: 5000 });
  await eventually('it is claimed again', () => claimed(all).includes(first), 60_000);
  const left = LONG + 1 - claimed(all).length;
  await allEnded(all, LONG + 1);
  assert.ok(left > 0, 'It was claimed last');
});
