import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CiError, isCiError } from '../../shared/errors.ts';
import { EmbeddedStore } from '../../node-runtime/store/embedded-store.ts';
import { type FollowEvent, follow } from '../../node-runtime/store/follow.ts';
import type { RangeRequest, Store } from '../../node-runtime/store/store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';

const call = { signal: neverAborted, timeoutMs: 1000 };

/** A store whose next reads fail in the given ways. */
function failing(store: Store, failures: CiError[]): Store {
  const range = (request: RangeRequest, ...rest: [typeof call]) => {
    const failure = failures.shift();
    return failure ? Promise.reject(failure) : store.range(request, ...rest);
  };
  return Object.assign(Object.create(store) as Store, { range, watch: store.watch.bind(store) });
}

async function setUp(failures: CiError[]) {
  const clock = new FakeClock();
  const store = await EmbeddedStore.open({ file: ':memory:', clock });
  await store.commit({ when: [], then: [{ put: 'a', value: '' }] }, call);
  const stop = new AbortController();
  const options = { prefix: 'a', clock, chance: systemChance };
  const events: FollowEvent[] = [];
  let error: unknown;
  const following = (async () => {
    for await (const event of follow(failing(store, failures), options, stop.signal)) events.push(event);
  })().catch(thrown => {
    error = thrown;
  });
  const end = async () => {
    stop.abort();
    await following;
    await store[Symbol.asyncDispose]();
    return error;
  };
  return { clock, events, end, following, error: () => error };
}

test('following a prefix outlasts a store that cannot be reached', async () => {
  const outage = Array.from({ length: 20 }, () => new CiError('unavailable', 'down'));
  const { clock, events, end } = await setUp(outage);
  await clock.advance(60_000);
  assert.deepEqual(
    events.map(event => event.kind),
    ['snapshot'],
  );
  assert.equal(await end(), undefined);
});

test('pauses between attempts to follow grow, to some two seconds', async () => {
  const outage = Array.from({ length: 1000 }, () => new CiError('unavailable', 'down'));
  const { clock, end } = await setUp(outage);
  await clock.advance(60_000);
  const attempts = 1000 - outage.length;
  assert.ok(attempts > 15 && attempts < 80, `${attempts} attempts in a minute`);
  await end();
});

test('following a prefix ends with what waiting does not mend', async () => {
  const { clock, error, end, following } = await setUp([new CiError('forbidden', 'no')]);
  await clock.advance(1000);
  await following;
  assert.ok(isCiError(error(), 'forbidden'));
  await end();
});
