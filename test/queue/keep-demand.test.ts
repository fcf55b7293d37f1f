import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { register } from '../../node-runtime/cluster/membership.ts';
import { Session } from '../../node-runtime/cluster/session.ts';
import { completeTask } from '../../node-runtime/queue/complete.ts';
import { keepDemand } from '../../node-runtime/queue/keep-demand.ts';
import { readDemand } from '../../node-runtime/queue/read-demand.ts';
import type { CommitResult } from '../../node-runtime/store/store.ts';
import { neverAborted as signal } from '../../node-runtime/system/clock.ts';
import { CiError } from '../../shared/errors.ts';
import { scriptedCommits, touches } from '../support/scripted-store.ts';
import { testCluster } from '../support/test-cluster.ts';
import { claim, claimant, eventually, passed, submit } from '../support/test-tasks.ts';

const call = { signal, timeoutMs: 3000 };

/** The part of a node that counts. */
async function counter(cluster: Cluster, node: string, labels: string[] = []) {
  const living = new AbortController();
  const session = await Session.open(cluster, () => undefined, signal);
  const instance = `${node}-instance`;
  const rest = { address: `http://${node}`, slots: 4, labels, version: '0', started: 0, draining: false };
  const member = { v: 1, node, instance, isolation: 'none', ...rest };
  await register(cluster, session, member, { askInstance: async () => undefined, onWait: () => undefined }, signal);
  const errors: unknown[] = [];
  const applicant = { node, instance, session: () => session };
  const keeping = keepDemand(cluster, applicant, error => errors.push(error), living.signal);
  return {
    session,
    errors,
    [Symbol.asyncDispose]: async () => {
      living.abort();
      await keeping;
      await session.close(signal);
    },
  };
}

async function demandOf(cluster: Cluster): Promise<Record<string, number> | undefined> {
  const report = await readDemand(cluster, signal).catch(() => undefined);
  return report && Object.fromEntries(Object.entries(report.pools).map(([name, { demand }]) => [name, demand]));
}

function untilDemand(cluster: Cluster, wanted: Record<string, number>): Promise<unknown> {
  return eventually(`the demand is ${JSON.stringify(wanted)}`, async () => {
    return JSON.stringify(await demandOf(cluster)) === JSON.stringify(wanted) || undefined;
  });
}

test('the demand follows tasks as they come, run and end', async () => {
  await using cluster = await testCluster();
  await using _ = await counter(cluster, 'n1');
  await untilDemand(cluster, { default: 0 });
  const id = await submit(cluster, { slots: 3 });
  await submit(cluster);
  await untilDemand(cluster, { default: 4 });
  const held = await claim(cluster, id, { ...(await claimant(cluster)), instance: 'n1-instance' });
  await completeTask(cluster, held, passed(held), signal);
  await untilDemand(cluster, { default: 1 });
});

test('the key of a pool is a bare number, and stays when its nodes are gone', async () => {
  await using cluster = await testCluster();
  await using _ = await counter(cluster, 'n1');
  {
    await using _gpu = await counter(cluster, 'n2', ['gpu']);
    await submit(cluster, { labels: ['gpu'] });
    await untilDemand(cluster, { default: 0, gpu: 1 });
  }
  const { records } = await cluster.store.range({ prefix: cluster.keys.demands, limit: 10 }, call);
  assert.deepEqual(
    records.map(({ key, value, lease }) => [key, value, lease]),
    [
      ['test/ci/demand/default', '0', undefined],
      ['test/ci/demand/gpu', '1', undefined],
    ],
  );
});

test('a number that has not changed is not written again', async () => {
  await using cluster = await testCluster();
  await using _ = await counter(cluster, 'n1');
  await untilDemand(cluster, { default: 0 });
  const before = (await cluster.store.range({ key: cluster.keys.demand('default'), limit: 1 }, call)).records[0];
  await submit(cluster, { labels: ['nowhere'] });
  await submit(cluster);
  await untilDemand(cluster, { default: 1 });
  const after = (await cluster.store.range({ key: cluster.keys.demand('default'), limit: 1 }, call)).records[0];
  assert.equal(after?.createRevision, before?.createRevision);
  const { records } = await cluster.store.range({ prefix: cluster.keys.demands, limit: 10 }, call);
  assert.equal(records.length, 1);
});

test('what nobody counts is not known, and an error', async () => {
  await using cluster = await testCluster();
  {
    await using _ = await counter(cluster, 'n1');
    await untilDemand(cluster, { default: 0 });
  }
  await assert.rejects(readDemand(cluster, signal), {
    code: 'unavailable',
    message: 'Cannot tell the demand as no node of test/ci counts it at the moment',
  });
});

test('what its predecessor has written is not trusted before the next one has counted', async () => {
  await using cluster = await testCluster();
  const { keys, store } = cluster;
  const lease = await store.grantLease(30, call);
  const record = JSON.stringify({ v: 1, node: 'n9', instance: 'n9-instance' });
  const then = [
    { put: keys.post('demand'), value: record, lease },
    { put: keys.demand('default'), value: '7' },
  ];
  await store.commit({ when: [], then }, call);
  await assert.rejects(readDemand(cluster, signal), { code: 'unavailable' });
});

test('when the one that counts is gone, another counts on', async () => {
  await using cluster = await testCluster();
  await using first = await counter(cluster, 'n1');
  await untilDemand(cluster, { default: 0 });
  await using _ = await counter(cluster, 'n2');
  await first[Symbol.asyncDispose]();
  await submit(cluster);
  await untilDemand(cluster, { default: 1 });
});

test('one that has lost the post without knowing writes nothing', async () => {
  await using plain = await testCluster();
  const { keys, store } = plain;
  let refused = 0;
  const cluster: Cluster = scriptedCommits(plain, async (transaction, commit) => {
    const result = await commit(transaction);
    if (result.kind === 'refused' && touches(transaction, keys.demand('default'))) refused++;
    return result;
  });
  await using _ = await counter(cluster, 'n1');
  await untilDemand(cluster, { default: 0 });
  const lease = await store.grantLease(30, call);
  const other = JSON.stringify({ v: 1, node: 'n9', instance: 'n9-instance', counted: true });
  await store.commit({ when: [], then: [{ delete: keys.post('demand') }] }, call);
  await store.commit({ when: [], then: [{ put: keys.post('demand'), value: other, lease }] }, call);
  await submit(cluster);
  await eventually('its write was refused', () => refused || undefined);
  assert.deepEqual(await demandOf(cluster), { default: 0 });
});

test('a lost answer costs nothing: the numbers are written again', async () => {
  await using plain = await testCluster();
  let lost = 0;
  const cluster: Cluster = scriptedCommits(plain, async (transaction, commit) => {
    const result = await commit(transaction);
    if (lost > 1 || !touches(transaction, plain.keys.demand('default'))) return result;
    lost++;
    return { kind: 'ambiguous', cause: new CiError('unavailable', 'The answer was lost') };
  });
  await using _ = await counter(cluster, 'n1');
  await submit(cluster);
  await untilDemand(cluster, { default: 1 });
});

test('a write that was given up and arrives late does not replace a newer one', async () => {
  await using plain = await testCluster();
  const key = plain.keys.demand('default');
  let late: (() => Promise<CommitResult>) | undefined;
  const cluster: Cluster = scriptedCommits(plain, async (transaction, commit) => {
    const isOne = transaction.then.some(
      operation => 'put' in operation && operation.put === key && operation.value === '1',
    );
    if (late || !isOne) return commit(transaction);
    late = () => plain.store.commit(transaction, call);
    return { kind: 'ambiguous', cause: new CiError('unavailable', 'etcd did not answer in time') };
  });
  await using _ = await counter(cluster, 'n1');
  await untilDemand(cluster, { default: 0 });
  await submit(cluster);
  const arrive = await eventually('the write of 1 was given up', () => late);
  await submit(cluster);
  await untilDemand(cluster, { default: 2 });
  assert.equal((await arrive()).kind, 'refused');
  assert.deepEqual(await demandOf(cluster), { default: 2 });
});

test('a task of a newer release asks for slots too', async () => {
  await using cluster = await testCluster();
  await using _ = await counter(cluster, 'n1');
  const key = cluster.keys.task('5newer0000000000000000000000' as never);
  await cluster.store.commit({ when: [], then: [{ put: key, value: '{"v":99,"slots":2,"steps":"other"}' }] }, call);
  await untilDemand(cluster, { default: 2 });
});
