import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QueueView } from '../../node-runtime/queue/queue-view.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { Crowd, type Rival } from '../simulation/crowd.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testCluster } from '../support/test-cluster.ts';
import { claim, claimant, submit } from '../support/test-tasks.ts';

/** More than twice what a node keeps in mind of the queue. */
const LONG = 1200;
const NODES = 12;
/** All of it is kept in mind. */
const SHORT = 400;
const call = { signal: neverAborted, timeoutMs: 5000 };

/** Whether it has looked for places in the queue at which to read stretches of it. */
const roams = ({ reads }: Rival) => reads.some(({ keysOnly }) => keysOnly);
/** How many changes the nodes of a crowd were told for each of so many tasks. */
const toldOf = (crowd: Crowd, tasks: number) => crowd.rivals.reduce((sum, { changes }) => sum + changes, 0) / tasks;

/** How many claim transactions of all its nodes have won and lost. */
function claimsOf(crowd: Crowd) {
  const sum = (kind: 'won' | 'lost') => crowd.rivals.reduce((total, { node }) => total + node.transactions[kind], 0);
  return { won: sum('won'), lost: sum('lost') };
}

/** Nodes that find a long queue, and have begun to look at stretches of it. */
async function roamingCrowd(crowd: Crowd): Promise<void> {
  await crowd.submit(LONG);
  await crowd.join(NODES);
  await crowd.until('most look at stretches', () => crowd.rivals.filter(roams).length > NODES / 2);
}

test('many nodes at a long queue run every task once, and each is told of little of what the others do', async () => {
  const crowd = new Crowd(1);
  const ids = await crowd.submit(LONG);
  await crowd.join(NODES);
  await crowd.until('all tasks have ended', () => crowd.ended === LONG);
  assert.deepEqual(crowd.claimed.sort(), ids.sort());
  const told = toldOf(crowd, LONG);
  assert.ok(told < NODES, `${told} changes a task; a lock and two deletions, told to each, are ${NODES * 3}`);
});

test('some nodes at a short queue are told of little of what the others do while there is room for all', async () => {
  const crowd = new Crowd(5);
  await crowd.submit(SHORT);
  await crowd.join(6);
  await crowd.until('most tasks have ended', () => crowd.ended > SHORT / 2);
  const told = toldOf(crowd, crowd.ended);
  assert.ok(told < 12, `${told} changes a task; a lock and two deletions, told to each, are 18`);
});

test('so many nodes that they would lose many claims at a short queue keep to its head, and hesitate', async () => {
  const crowd = new Crowd(6);
  await crowd.submit(SHORT);
  await crowd.join(50);
  const upTo = async (tasks: number) => {
    for (; submitted < tasks; submitted += 100) {
      await crowd.until('there is room for more', () => crowd.ended > submitted - SHORT + 100);
      await crowd.submit(100);
    }
    return claimsOf(crowd);
  };
  let submitted = SHORT;
  const learnt = await upTo(LONG * 1.5);
  const { won, lost } = await upTo(LONG * 2.25);
  const [wins, losses] = [won - learnt.won, lost - learnt.lost];
  assert.ok(losses < wins / 4, `${losses} claims were lost for ${wins} that won`);
});

test('a node alone at a long queue looks at its head only, and takes its tasks in order', async () => {
  const crowd = new Crowd(2);
  const ids = await crowd.submit(LONG);
  await crowd.join(1);
  await crowd.until('all tasks have ended', () => crowd.ended === LONG);
  assert.deepEqual(crowd.rivals.map(roams), [false]);
  assert.deepEqual(crowd.claimed.slice(100), ids.sort().slice(100));
});

test('an urgent task is taken up by nodes that look at stretches of a long queue', async () => {
  const crowd = new Crowd(3);
  await roamingCrowd(crowd);
  const [urgent] = await crowd.submit(1, { priority: 0 });
  const before = crowd.claimed.length;
  await crowd.until('it is claimed', () => crowd.claimed.includes(urgent!));
  assert.ok(crowd.claimed.length - before < 200, `It was passed over ${crowd.claimed.length - before} times`);
});

test('who looks at stretches is told of an urgent task behind another, whatever else the queue has before the most of it', async () => {
  const clock = new FakeClock();
  await using cluster = await testCluster({ clock });
  const crowd = await claimant(cluster);
  const submitAll = (count: number, priority: number) =>
    Promise.all(Array.from({ length: count }, () => submit(cluster, { priority })));
  await submitAll(1, 1);
  const some = await submitAll(200, 4);
  await submitAll(600, 5);
  const view = new QueueView(
    cluster,
    () => true,
    () => false,
  );
  const stop = new AbortController();
  const running = view.run(stop.signal);
  await clock.advanceUntil(() => view.count(1, () => false) === 1, 5000);
  for (const id of some.slice(0, 70)) await claim(cluster, id, crowd);
  await clock.advanceUntil(() => view.isRoaming && view.count(1, () => false) <= 64, 5000);
  const [urgent] = await submitAll(1, 2);
  await clock.advanceUntil(() => view.isFree(urgent!), 5000);
  stop.abort(new Error('The test is over'));
  await running;
});

test('a task whose holder dies is taken up by nodes that have passed it', async () => {
  const crowd = new Crowd(4);
  const cluster = await crowd.connect();
  const [first] = await crowd.submit(1);
  const dying = await crowd.done('a lease', claimant(cluster, 'dying'));
  await crowd.done('a claim', claim(cluster, first!, dying));
  await roamingCrowd(crowd);
  await crowd.done('its end', cluster.store.revokeLease(dying.lease, call));
  const before = crowd.claimed.length;
  await crowd.until('it is claimed again', () => crowd.claimed.includes(first!));
  assert.ok(crowd.claimed.length - before < 200, `It was passed over ${crowd.claimed.length - before} times`);
});
