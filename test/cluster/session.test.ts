import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Session } from '../../node-runtime/cluster/session.ts';
import type { LeaseId, Store } from '../../node-runtime/store/store.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { CiError } from '../../shared/errors.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { testCluster } from '../support/test-cluster.ts';

/** A store whose renewals answer as the test says: seconds, or an outage. */
function renewals(answer: () => number | 'outage') {
  const sent: number[] = [];
  const store = {
    grantLease: async () => '7' as LeaseId,
    revokeLease: async () => undefined,
    renewLease: async () => {
      const ttl = answer();
      sent.push(ttl === 'outage' ? -1 : ttl);
      if (ttl === 'outage') throw new CiError('unavailable', 'Cannot reach the store');
      return ttl;
    },
  } as unknown as Store;
  return { store, sent };
}

async function openSession(answer: () => number | 'outage') {
  const clock = new FakeClock();
  const base = await testCluster();
  const { store, sent } = renewals(answer);
  const acknowledged: number[] = [];
  const living = new AbortController();
  const session = await Session.open(
    { ...base, clock, store },
    ({ sent }) => acknowledged.push(sent.monotonic),
    neverAborted,
  );
  const kept = session.keep(living.signal);
  await settle();
  const close = async () => {
    living.abort();
    await kept;
    await base[Symbol.asyncDispose]();
  };
  return { clock, session, sent, acknowledged, [Symbol.asyncDispose]: close };
}

test('a session renews every 5 s', async () => {
  await using it = await openSession(() => 30);
  await it.clock.advance(20_000);
  assert.ok(it.sent.length >= 4 && it.sent.length <= 6, String(it.sent.length));
  assert.equal(it.session.maySafelyClaim, true);
});

test('a session that is not answered for 10 s may not claim, and is not lost', async () => {
  let answer: number | 'outage' = 30;
  await using it = await openSession(() => answer);
  await it.clock.advance(5000);
  answer = 'outage';
  await it.clock.advance(10_500);
  assert.equal(it.session.maySafelyClaim, false);
  assert.equal(it.session.lost.aborted, false);
});

test('an outage of ten minutes ends no session; the first answer after it is told as a recovery', async () => {
  let answer: number | 'outage' = 30;
  await using it = await openSession(() => answer);
  answer = 'outage';
  await it.clock.advance(600_000);
  let recovered = false;
  const wait = it.session.recovered.wait(neverAborted).then(() => {
    recovered = true;
  });
  assert.equal(it.session.lost.aborted, false);
  answer = 30;
  await it.clock.advance(1000);
  await wait;
  assert.equal(recovered, true);
  assert.equal(it.session.maySafelyClaim, true);
});

test('a session whose lease the store has ended is lost at once', async () => {
  let answer: number | 'outage' = 30;
  await using it = await openSession(() => answer);
  answer = 0;
  await it.clock.advance(6000);
  assert.equal(it.session.lost.aborted, true);
});

test('what is told to the supervisor is when a renewal was sent, not when its answer came', async () => {
  await using it = await openSession(() => 30);
  const before = it.clock.monotonic();
  await it.clock.advance(5000);
  assert.ok(it.acknowledged.every(sentAt => sentAt <= it.clock.monotonic()));
  assert.ok(it.acknowledged.length >= 2 && it.acknowledged[0]! <= before);
});
