import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Session } from '../../node-runtime/cluster/session.ts';
import type { LeaseId, Store } from '../../node-runtime/store/store.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { CiError } from '../../shared/errors.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { testCluster } from '../support/test-cluster.ts';

/** What the store says to a renewal: how many seconds the lease lasts, at once or later, or nothing. */
type Answer = (clock: FakeClock) => number | 'outage' | Promise<number>;

/** A store whose renewals answer as the test says. */
function renewals(answer: () => ReturnType<Answer>) {
  const sent: number[] = [];
  const store = {
    grantLease: async () => '7' as LeaseId,
    revokeLease: async () => undefined,
    renewLease: async () => {
      const ttl = await answer();
      sent.push(ttl === 'outage' ? -1 : ttl);
      if (ttl === 'outage') throw new CiError('unavailable', 'Cannot reach the store');
      return ttl;
    },
  } as unknown as Store;
  return { store, sent };
}

async function openSession(answer: Answer) {
  const clock = new FakeClock();
  const base = await testCluster();
  const { store, sent } = renewals(() => answer(clock));
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

test('a renewal counts from when it was sent, not from when its answer came, for the session and its supervisor', async () => {
  await using it = await openSession(async clock => {
    await clock.sleep(2000, neverAborted);
    return 30;
  });
  const begun = it.clock.monotonic();
  await it.clock.advance(9000);
  assert.deepEqual(
    it.acknowledged.map(sentAt => sentAt - begun),
    [0, 0, 7000],
  );
  assert.equal(it.session.age, 2000);
});
