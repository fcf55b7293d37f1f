import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { register } from '../../node-runtime/cluster/membership.ts';
import { Session } from '../../node-runtime/cluster/session.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { isCiError } from '../../shared/errors.ts';
import type { NodeId } from '../../shared/ids.ts';
import type { MemberRecord } from '../../shared/result.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testCluster } from '../support/test-cluster.ts';

const signal = neverAborted;

function member(instance: string): MemberRecord {
  const rest = { slots: 1, labels: [], version: '0', started: 0, draining: false, isolation: 'none' };
  return { v: 1, node: 'n1', instance, address: `http://${instance}`, ...rest };
}

function join(cluster: Cluster, session: Session, instance: string, living: string[] = []): Promise<void> {
  const askInstance = async (address: string) => living.find(each => address === `http://${each}`);
  return register(cluster, session, member(instance), { askInstance, onWait: () => undefined }, signal);
}

const open = (cluster: Cluster) => Session.open(cluster, () => undefined, signal);

test('a node whose id a living node has is refused', async () => {
  await using cluster = await testCluster();
  await join(cluster, await open(cluster), 'first');
  await assert.rejects(join(cluster, await open(cluster), 'second', ['first']), error => isCiError(error, 'conflict'));
});

test('a node waits for the lease of a dead one of its id, and joins when it has ended', async () => {
  await using cluster = await testCluster();
  const dead = await open(cluster);
  await join(cluster, dead, 'dead');
  const joining = join(cluster, await open(cluster), 'next');
  await cluster.store.revokeLease(dead.lease, { signal, timeoutMs: 1000 });
  await joining;
  const { records } = await cluster.store.range(
    { key: cluster.keys.member('n1' as NodeId), limit: 1 },
    { signal, timeoutMs: 1000 },
  );
  assert.equal(JSON.parse(records[0]!.value).instance, 'next');
});

for (const [what, value] of [
  ['that is damaged', 'junk'],
  ['of a newer release', '{"v":2,"node":"n1","addresses":["http://n1"]}'],
] as const)
  test(`a record ${what} is in the way of a node of its id, until it is gone`, async () => {
    const clock = new FakeClock();
    await using cluster = await testCluster({ clock });
    const call = { signal, timeoutMs: 1000 };
    const key = cluster.keys.member('n1' as NodeId);
    await cluster.store.commit({ when: [], then: [{ put: key, value }] }, call);
    let end: unknown;
    join(cluster, await open(cluster), 'second').then(
      () => (end = 'joined'),
      error => (end = error),
    );
    await clock.advanceUntil(() => end !== undefined);
    assert.ok(isCiError(end, 'conflict'), String(end));
    assert.match(end.message, /under its id cannot be read by this release: .*members\/n1\. Give this one another/);
    await cluster.store.commit({ when: [], then: [{ delete: key }] }, call);
    await join(cluster, await open(cluster), 'third');
  });

test('a lease that ends before the node is a member is no duplicate node: the node may try again', async () => {
  await using cluster = await testCluster();
  const session = await open(cluster);
  await cluster.store.revokeLease(session.lease, { signal, timeoutMs: 1000 });
  await assert.rejects(join(cluster, session, 'late'), error => isCiError(error, 'unavailable'));
});
