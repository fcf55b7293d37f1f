import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dropLateClaim } from '../../node-runtime/queue/late-claims.ts';
import type { Store } from '../../node-runtime/store/store.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { CiError } from '../../shared/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testCluster } from '../support/test-cluster.ts';
import { submit } from '../support/test-tasks.ts';

test('a claim that arrives late is let go of, also when the store does not answer at the last look', async () => {
  const clock = new FakeClock();
  await using cluster = await testCluster({ clock });
  const id = await submit(cluster);
  let isSilent = true;
  const store = Object.assign(Object.create(cluster.store) as Store, {
    range: (...asked: Parameters<Store['range']>) =>
      isSilent ? Promise.reject(new CiError('unavailable', 'Silent')) : cluster.store.range(...asked),
    commit: (...asked: Parameters<Store['commit']>) => cluster.store.commit(...asked),
  });
  const dropping = dropLateClaim({ ...cluster, store }, id, 'mine', neverAborted);
  await clock.advance(60_000);
  const key = cluster.keys.lock(id);
  const lock = { v: 1, node: 'n1', instance: 'i', nonce: 'mine', attempt: 1, address: '', claimed: 0 };
  const call = { signal: neverAborted, timeoutMs: 1000 };
  await cluster.store.commit({ when: [], then: [{ put: key, value: JSON.stringify(lock) }] }, call);
  isSilent = false;
  await clock.advance(60_000);
  await dropping;
  assert.deepEqual((await cluster.store.range({ key, limit: 1 }, call)).records, []);
});
