import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeasuredObjectStore } from '../../node-runtime/objects/measured-object-store.ts';
import { EmbeddedStore } from '../../node-runtime/store/embedded-store.ts';
import { MeasuredStore } from '../../node-runtime/store/measured-store.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { LogLag } from '../../node-runtime/logs/log-lag.ts';
import { CiError } from '../../shared/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryObjectStore } from '../support/memory-object-store.ts';

const call = { signal: neverAborted, timeoutMs: 10_000 };

function listener() {
  const told: string[] = [];
  const observe = (operation: string, result: string, seconds: number) => {
    assert.ok(seconds >= 0);
    told.push(`${operation}: ${result}`);
  };
  return { told, measuring: { clock: systemClock, observe } };
}

test('each call to the coordination store is told with how it ended', async () => {
  const { told, measuring } = listener();
  await using store = new MeasuredStore(await EmbeddedStore.open({ file: ':memory:', clock: systemClock }), measuring);
  const put = { when: [{ key: 'a', exists: false }], then: [{ put: 'a', value: '1' }] };
  assert.equal((await store.commit(put, call)).kind, 'committed');
  assert.equal((await store.commit(put, call)).kind, 'refused');
  await store.range({ prefix: '', limit: 1 }, call);
  const lease = await store.grantLease(30, call);
  await store.renewLease(lease, call);
  await store.revokeLease(lease, call);
  await store.renewLease(lease, call);
  assert.deepEqual(told, [
    'commit: committed',
    'commit: refused',
    'range: ok',
    'grant-lease: ok',
    'renew-lease: ok',
    'revoke-lease: ok',
    'renew-lease: gone',
  ]);
});

test('each call to the object store is told with the code of its error, or that its caller ended it', async () => {
  const { told, measuring } = listener();
  let failure: Error | undefined;
  const objects = new MemoryObjectStore({
    carry: async (_operation, _key, effect) => {
      if (failure) throw failure;
      return effect();
    },
  });
  await using measured = new MeasuredObjectStore(objects, measuring);
  await measured.put('a', Buffer.from('1'), call);
  await measured.get('a', call);
  await measured.head('b', call);
  failure = new CiError('forbidden', 'No');
  await assert.rejects(measured.deleteMany(['a'], call));
  const ended = AbortSignal.abort(new Error('enough'));
  await assert.rejects(measured.get('a', { signal: ended }));
  assert.deepEqual(told, ['put: ok', 'get: ok', 'head: ok', 'delete: forbidden', 'get: ended']);
});

test('logs are as far behind as the oldest piece that is on its way', async () => {
  const clock = new FakeClock();
  const lag = new LogLag(clock);
  assert.equal(lag.ms, 0);
  const first = lag.begin();
  await clock.advance(2000);
  const second = lag.begin();
  await clock.advance(1000);
  assert.equal(lag.ms, 3000);
  first[Symbol.dispose]();
  assert.equal(lag.ms, 1000);
  second[Symbol.dispose]();
  assert.equal(lag.ms, 0);
});
