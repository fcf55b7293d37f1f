import assert from 'node:assert/strict';
import { test } from 'node:test';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { Crowd, type Rival } from '../simulation/crowd.ts';
import { claim, claimant } from '../support/test-tasks.ts';

/** More than twice what a node keeps in mind of the queue. */
const LONG = 1200;
const NODES = 12;
const call = { signal: neverAborted, timeoutMs: 5000 };

/** Whether it has looked at a stretch of the queue that does not begin with its head. */
const roams = ({ watches }: Rival) => watches.some(({ after }) => after !== undefined);

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
  const told = crowd.rivals.reduce((sum, { changes }) => sum + changes, 0) / LONG;
  assert.ok(told < NODES * 2, `${told} changes a task; a lock and two deletions, told to each, are ${NODES * 3}`);
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
