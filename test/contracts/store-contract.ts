import assert from 'node:assert/strict';
import { after, describe, type TestContext, test } from 'node:test';
import { isCiError } from '../../shared/errors.ts';
import { type FollowEvent, follow } from '../../node-runtime/store/follow.ts';
import { readAll } from '../../node-runtime/store/read-all.ts';
import { readTogether } from '../../node-runtime/store/read-together.ts';
import type { LeaseId, Operation, Store, WatchRequest } from '../../node-runtime/store/store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { increment, openStore, type StoreAddress, startStoreChild } from '../support/store-child.ts';
import { until } from '../support/until.ts';
import { Watched } from '../support/watched.ts';

/** A store to test, and the means to make its life hard. */
export interface StoreFixture extends AsyncDisposable {
  /** For connections of other parties, undisturbed by the faults. */
  readonly address: StoreAddress;
  /** The connection under test. */
  readonly store: Store;
  /** Drops all history up to the present revision. */
  compact(revision: number): Promise<void>;
  readonly faults: StoreFaults | { readonly none: string };
}

/** What can happen between a client and the servers of a store that has some. */
interface StoreFaults {
  /** Breaks all connections of the store under test. */
  cut(): void;
  /** Breaks each of its connections whenever it has received so many bytes; 0 ends that. */
  cutEvery(bytes: number): void;
  /** Requests arrive, answers do not, until `undo`. */
  dropAnswers(): { undo(): void };
  moveLeader(): Promise<void>;
}

const call = { signal: neverAborted, timeoutMs: 30_000 };

/** What every store must do. `isPossible` skips the test where what the fixture needs is missing. */
export function storeContract(
  name: string,
  isPossible: (t: TestContext) => boolean,
  createFixture: () => Promise<StoreFixture>,
): void {
  describe(name, { concurrency: 2 }, () => {
    describe('in all it does', { concurrency: 1 }, () => describeStore(isPossible, createFixture));
    // On servers of its own, as it takes its time and a new leader would give leases new life.
    test('a lease of 30 s ends on time and not early, and one that is renewed lives', async t => {
      if (!isPossible(t)) return;
      await using fixture = await createFixture();
      const { store } = fixture;
      const prefix = 'leases/';
      const stop = new AbortController();
      const kept = await store.grantLease(30, call);
      await put(store, `${prefix}kept`, '', kept);
      const renewing = renewEvery(5000, store, kept, stop.signal);
      const [plain, renewedOnce] = await Promise.all([
        lifetime(store, `${prefix}plain`),
        lifetime(store, `${prefix}once`, 6000),
      ]);
      stop.abort();
      await renewing;
      const { records } = await store.range({ key: `${prefix}kept`, limit: 1 }, call);
      await store.revokeLease(kept, call);
      assert.ok(plain >= 30_000 && plain < 45_000, `30 s lasted ${plain} ms`);
      assert.ok(renewedOnce >= 36_000 && renewedOnce < 51_000, `30 s, renewed after 6 s, lasted ${renewedOnce} ms`);
      assert.equal(records.length, 1);
    });
  });
}

function describeStore(isPossible: (t: TestContext) => boolean, createFixture: () => Promise<StoreFixture>): void {
  let created: Promise<StoreFixture> | undefined;
  let folders = 0;

  after(async () => {
    await (await created)?.[Symbol.asyncDispose]();
  });

  function fixture(): Promise<StoreFixture> {
    created ??= createFixture();
    return created;
  }

  /** A test with a prefix of its own. */
  function check(title: string, body: (store: Store, prefix: string, fixture: StoreFixture) => Promise<void>): void {
    test(title, async t => {
      if (!isPossible(t)) return;
      const it = await fixture();
      await body(it.store, `test${++folders}/`, it);
    });
  }

  function checkFaults(
    title: string,
    body: (store: Store, prefix: string, faults: StoreFaults) => Promise<void>,
  ): void {
    test(title, async t => {
      if (!isPossible(t)) return;
      const { faults, store } = await fixture();
      if ('none' in faults) return t.skip(faults.none);
      await body(store, `test${++folders}/`, faults);
    });
  }

  check('a record is read back with the revisions that made and changed it', async (store, prefix) => {
    const key = `${prefix}a`;
    const made = await put(store, key, 'one');
    const changed = await put(store, key, 'two');
    const { records } = await store.range({ key, limit: 1 }, call);
    assert.deepEqual(records, [{ key, value: 'two', createRevision: made, modRevision: changed }]);
  });

  check('a deleted and rewritten record is a new one', async (store, prefix) => {
    const key = `${prefix}a`;
    await put(store, key, 'one');
    await commit(store, [{ delete: key }]);
    const again = await put(store, key, 'two');
    const { records } = await store.range({ key, limit: 1 }, call);
    assert.equal(records[0]!.createRevision, again);
  });

  check('deleting what does not exist changes nothing', async (store, prefix) => {
    const before = await put(store, `${prefix}a`, '');
    assert.equal(await commit(store, [{ delete: `${prefix}b` }]), before);
  });

  check('values and keys hold any text', async (store, prefix) => {
    const value = 'a\0b\nß€😀\uffff"\\';
    const keys = ['\u0001', ' ', 'ä', '\u07ff', '\uffff', '😀', '😀\u{10ffff}'].map(end => `${prefix}k${end}`);
    for (const key of keys) await put(store, key, value);
    const { records } = await store.range({ prefix: `${prefix}k`, limit: 100 }, call);
    const inByteOrder = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    assert.deepEqual(
      records.map(record => record.key),
      inByteOrder,
    );
    assert.ok(records.every(record => record.value === value));
  });

  check('a prefix has what begins with it and nothing else', async (store, prefix) => {
    const inside = ['x/', 'x/a', 'x/\u007f', 'x/\u{10ffff}'];
    const outside = ['x', 'x.', 'x0', 'w/a', 'X/a', 'y/'];
    for (const key of [...inside, ...outside]) await put(store, prefix + key, '');
    const { records } = await store.range({ prefix: `${prefix}x/`, limit: 100 }, call);
    assert.deepEqual(
      records.map(record => record.key.slice(prefix.length)),
      inside,
    );
  });

  check('the prefix of nothing has everything', async (store, prefix) => {
    await put(store, `${prefix}a`, '');
    await put(store, '\u{10ffff}last', '');
    const all = await Array.fromAsync(readAll(store, '', call));
    assert.ok(all.some(record => record.key === `${prefix}a`));
    assert.equal(all.at(-1)!.key, '\u{10ffff}last');
    await commit(store, [{ delete: '\u{10ffff}last' }]);
  });

  check('pages go on after a key', async (store, prefix) => {
    for (const end of ['a', 'aa', 'b', 'c']) await put(store, prefix + end, '');
    const first = await store.range({ prefix, limit: 1 }, call);
    const rest = await store.range({ prefix, limit: 2, after: `${prefix}a` }, call);
    const last = await store.range({ prefix, limit: 9, after: `${prefix}b` }, call);
    const seen = [first, rest, last].map(page => [page.records.map(({ key }) => key.slice(prefix.length)), page.more]);
    assert.deepEqual(seen, [
      [['a'], true],
      [['aa', 'b'], true],
      [['c'], false],
    ]);
  });

  check('a read of keys only leaves the values out', async (store, prefix) => {
    await put(store, `${prefix}a`, 'something');
    const { records } = await store.range({ prefix, limit: 1, keysOnly: true }, call);
    const { records: one } = await store.range({ key: `${prefix}a`, limit: 1, keysOnly: true }, call);
    assert.deepEqual([records[0]!.value, one[0]!.value], ['', '']);
  });

  check('a read at a revision shows what was there then', async (store, prefix) => {
    await put(store, `${prefix}a`, 'old');
    const then = await put(store, `${prefix}b`, 'old');
    await put(store, `${prefix}a`, 'new');
    await commit(store, [{ delete: `${prefix}b` }]);
    await put(store, `${prefix}c`, 'new');
    const past = await store.range({ prefix, limit: 9, revision: then }, call);
    const one = await store.range({ key: `${prefix}b`, limit: 1, revision: then }, call);
    assert.equal(past.revision, then);
    assert.deepEqual(
      past.records.map(({ key, value }) => [key.slice(prefix.length), value]),
      [
        ['a', 'old'],
        ['b', 'old'],
      ],
    );
    assert.equal(one.records[0]?.value, 'old');
  });

  check('a revision that is yet to come cannot be read', async (store, prefix) => {
    const now = await put(store, `${prefix}a`, '');
    await fails(store.range({ prefix, limit: 1, revision: now + 1000 }, call), 'invalid');
  });

  check('a revision that has been compacted is gone', async (store, prefix, fixture) => {
    const then = await put(store, `${prefix}a`, '1');
    await put(store, `${prefix}a`, '2');
    await fixture.compact(await put(store, `${prefix}a`, '3'));
    await fails(store.range({ prefix, limit: 1, revision: then }, call), 'gone');
  });

  check('10,000 keys are paged at one revision while others write among them', async (store, prefix, fixture) => {
    await using other = await openStore(fixture.address);
    const names = Array.from({ length: 10_000 }, (_, n) => `${prefix}${String(n).padStart(5, '0')}`);
    for (let n = 0; n < names.length; n += 100) {
      await commit(
        store,
        names.slice(n, n + 100).map(key => ({ put: key, value: 'first' })),
      );
    }
    const first = await store.range({ prefix, limit: 500 }, call);
    const stop = new AbortController();
    const writing = disturb(other, names, stop.signal);
    const records = [...first.records];
    while (records.length < 10_000) {
      const after = records.at(-1)!.key;
      const page = await store.range({ prefix, limit: 500, after, revision: first.revision }, call);
      assert.equal(page.more, records.length + page.records.length < 10_000);
      records.push(...page.records);
    }
    stop.abort();
    assert.ok((await writing) > 0, 'nothing was written meanwhile');
    assert.ok(records.every(record => record.value === 'first'));
    assert.deepEqual(
      records.map(record => record.key),
      names,
    );
  });

  check('a compare that does not hold refuses everything and shows what was asked for', async (store, prefix) => {
    await put(store, `${prefix}a`, 'there');
    const result = await store.commit(
      {
        when: [{ key: `${prefix}a`, exists: false }],
        then: [{ put: `${prefix}b`, value: '' }, { delete: `${prefix}a` }],
        otherwise: [`${prefix}a`, `${prefix}missing`],
      },
      call,
    );
    assert.equal(result.kind, 'refused');
    assert.deepEqual(result.kind === 'refused' && [...result.records.values()].map(({ value }) => value), ['there']);
    assert.equal((await store.range({ prefix, limit: 9 }, call)).records.length, 1);
  });

  check('each kind of compare holds when it should and only then', async (store, prefix) => {
    const key = `${prefix}a`;
    const missing = `${prefix}missing`;
    const created = await put(store, key, '1');
    const changed = await put(store, key, '2');
    const holds = async (when: Parameters<Store['commit']>[0]['when']) =>
      (await store.commit({ when, then: [] }, call)).kind === 'committed';
    assert.deepEqual(
      await Promise.all([
        holds([{ key, exists: true }]),
        holds([{ key: missing, exists: false }]),
        holds([{ key, createRevision: created }]),
        holds([{ key, modRevision: changed }]),
        holds([{ key: missing, modRevision: 0 }]),
      ]),
      [true, true, true, true, true],
    );
    assert.deepEqual(
      await Promise.all([
        holds([{ key, exists: false }]),
        holds([{ key: missing, exists: true }]),
        holds([{ key, createRevision: changed }]),
        holds([{ key: missing, createRevision: created }]),
        holds([{ key, modRevision: created }]),
        holds([{ key, modRevision: 0 }]),
        holds([
          { key, exists: true },
          { key: missing, exists: true },
        ]),
      ]),
      [false, false, false, false, false, false, false],
    );
  });

  check('several keys are read at one revision', async (store, prefix) => {
    await commit(store, [
      { put: `${prefix}a`, value: '1' },
      { put: `${prefix}b`, value: '2' },
    ]);
    const together = await readTogether(store, [`${prefix}a`, `${prefix}b`, `${prefix}c`], call);
    assert.deepEqual([...together.records.keys()], [`${prefix}a`, `${prefix}b`]);
  });

  check('of many writers that create one key exactly one wins', async (store, prefix, fixture) => {
    await using second = await openStore(fixture.address);
    const key = `${prefix}lock`;
    const attempts = Array.from({ length: 40 }, (_, n) =>
      (n % 2 ? store : second).commit(
        { when: [{ key, exists: false }], then: [{ put: key, value: String(n) }], otherwise: [key] },
        call,
      ),
    );
    const results = await Promise.all(attempts);
    const winners = results.flatMap((result, n) => (result.kind === 'committed' ? [String(n)] : []));
    const seen = new Set(
      results.map(result => (result.kind === 'refused' ? result.records.get(key)!.value : undefined)),
    );
    assert.equal(winners.length, 1);
    assert.deepEqual(seen, new Set([winners[0], undefined]));
  });

  check('nothing is lost when connections and processes count up one number', async (store, prefix, fixture) => {
    const key = `${prefix}count`;
    const children = [1, 2].map(() => startStoreChild(fixture.address, { kind: 'count', key, times: 40 }));
    await using second = await openStore(fixture.address);
    const countUp = async (by: Store) => {
      for (let won = 0; won < 40; ) won += (await increment(by, key)) ? 1 : 0;
    };
    await Promise.all([countUp(store), countUp(second)]);
    assert.deepEqual(await Promise.all(children.map(child => child.done)), [0, 0]);
    assert.equal((await store.range({ key, limit: 1 }, call)).records[0]!.value, '160');
  });

  check('transactions that come together are each done or refused by themselves', async (store, prefix) => {
    await put(store, `${prefix}taken`, 'by another');
    const claim = (name: string) =>
      store.commit(
        {
          when: [{ key: prefix + name, exists: false }],
          then: [{ put: prefix + name, value: name }],
          otherwise: [prefix + name],
        },
        call,
      );
    const lease = (name: string) =>
      store.commit({ when: [], then: [{ put: prefix + name, value: '', lease: '123456' as LeaseId }] }, call);
    const [a, taken, b, refused] = await Promise.allSettled([claim('a'), claim('taken'), claim('b'), lease('c')]);
    assert.deepEqual(
      [a, taken, b].map(result => result.status === 'fulfilled' && result.value.kind),
      ['committed', 'refused', 'committed'],
    );
    assert.ok(taken.status === 'fulfilled' && taken.value.kind === 'refused');
    assert.equal(taken.value.records.get(`${prefix}taken`)?.value, 'by another');
    assert.ok(refused.status === 'rejected' && isCiError(refused.reason, 'conflict'));
    const { records } = await store.range({ prefix, limit: 9 }, call);
    assert.deepEqual(
      records.map(({ key, value }) => [key.slice(prefix.length), value]),
      [
        ['a', 'a'],
        ['b', 'b'],
        ['taken', 'by another'],
      ],
    );
    for (const [at, result] of [a, b].entries()) {
      assert.ok(result.status === 'fulfilled' && result.value.kind === 'committed');
      assert.equal(records[at]!.createRevision, result.value.revision);
    }
  });

  check('transactions that come together see each other’s changes one after the other', async (store, prefix) => {
    const key = `${prefix}count`;
    const made = await put(store, key, '0');
    const swap = (to: string, revision: number) =>
      store.commit({ when: [{ key, modRevision: revision }], then: [{ put: key, value: to }], otherwise: [key] }, call);
    const results = await Promise.all([swap('1', made), swap('2', made), swap('3', made)]);
    const winners = results.filter(({ kind }) => kind === 'committed');
    assert.equal(winners.length, 1);
    const [present] = (await store.range({ key, limit: 1 }, call)).records;
    for (const result of results)
      if (result.kind === 'refused') assert.equal(result.records.get(key)!.value, present!.value);
  });

  check('a signal ends the waiting of its own transaction only', async (store, prefix) => {
    const stop = new AbortController();
    const reason = new Error('enough');
    const given = store.commit(
      { when: [], then: [{ put: `${prefix}given up`, value: '' }] },
      { signal: stop.signal, timeoutMs: 30_000 },
    );
    const others = ['a', 'b'].map(name => put(store, prefix + name, ''));
    stop.abort(reason);
    const outcome = await given.then(
      ({ kind }) => kind,
      (error: unknown) => error,
    );
    assert.ok(outcome === reason || outcome === 'committed', String(outcome));
    await Promise.all(others);
    assert.equal((await store.range({ prefix: `${prefix}a`, limit: 1 }, call)).records.length, 1);
  });

  check('a value that is too large is refused', async (store, prefix) => {
    const value = 'x'.repeat(1_000_001);
    await fails(store.commit({ when: [], then: [{ put: `${prefix}a`, value }] }, call), 'too-large');
    await put(store, `${prefix}a`, 'x'.repeat(1_000_000));
    const { records } = await store.range({ prefix, limit: 1 }, call);
    assert.equal(records[0]!.value.length, 1_000_000);
  });

  check('a transaction that is too large or has too many parts is refused', async (store, prefix) => {
    const large = Array.from({ length: 3 }, (_, n) => ({ put: `${prefix}${n}`, value: 'x'.repeat(500_000) }));
    const many = Array.from({ length: 101 }, (_, n) => ({ put: `${prefix}${n}`, value: '' }));
    await fails(store.commit({ when: [], then: large }, call), 'too-large');
    await fails(store.commit({ when: [], then: many }, call), 'too-large');
    assert.equal((await store.range({ prefix, limit: 1 }, call)).records.length, 0);
  });

  check('a transaction of 100 parts is accepted', async (store, prefix) => {
    const keys = Array.from({ length: 50 }, (_, n) => `${prefix}${n}`);
    const when = keys.map(key => ({ key, exists: false }));
    const result = await store.commit({ when, then: keys.map(key => ({ put: key, value: '' })) }, call);
    assert.equal(result.kind, 'committed');
  });

  check('nonsense is refused', async (store, prefix) => {
    const key = `${prefix}a`;
    const twice = [{ put: key, value: '1' }, { delete: key }];
    await fails(store.commit({ when: [], then: twice }, call), 'invalid');
    await fails(store.commit({ when: [], then: [{ put: '', value: '' }] }, call), 'invalid');
    await fails(store.commit({ when: [], then: [{ put: `${key}\ud800`, value: '' }] }, call), 'invalid');
    await fails(store.commit({ when: [{ key, modRevision: -1 }], then: [] }, call), 'invalid');
    await fails(store.range({ prefix, limit: 0 }, call), 'invalid');
    await fails(store.grantLease(0.5, call), 'invalid');
    const ofNothing = { prefix, after: `${prefix}b`, upTo: `${prefix}b` };
    await fails(watchOnce(store, { ...ofNothing, from: 1 }), 'invalid');
  });

  check('a lease that does not exist makes the whole transaction a conflict', async (store, prefix) => {
    const lease = await store.grantLease(60, call);
    await store.revokeLease(lease, call);
    const then = [
      { put: `${prefix}a`, value: '' },
      { put: `${prefix}b`, value: '', lease },
    ];
    await fails(store.commit({ when: [], then }, call), 'conflict');
    assert.equal((await store.range({ prefix, limit: 1 }, call)).records.length, 0);
  });

  check('revoking a lease deletes its keys, and only the ones still under it', async (store, prefix) => {
    const lease = await store.grantLease(60, call);
    await commit(
      store,
      ['a', 'b', 'c'].map(end => ({ put: prefix + end, value: '', lease })),
    );
    await put(store, `${prefix}b`, 'now without a lease');
    const { records } = await store.range({ key: `${prefix}a`, limit: 1 }, call);
    assert.equal(records[0]!.lease, lease);
    await store.revokeLease(lease, call);
    const left = await store.range({ prefix, limit: 9 }, call);
    assert.deepEqual(
      left.records.map(({ key }) => key),
      [`${prefix}b`],
    );
  });

  check('a lease that has ended is neither renewed nor an error to revoke', async (store, _prefix) => {
    const lease = await store.grantLease(60, call);
    assert.equal(await store.renewLease(lease, call), 60);
    await store.revokeLease(lease, call);
    await store.revokeLease(lease, call);
    assert.equal(await store.renewLease(lease, call), 0);
    assert.equal(await store.renewLease('12345' as LeaseId, call), 0);
  });

  check('a watch shows every change under its prefix, in order, from its revision on', async (store, prefix) => {
    await put(store, `${prefix}a`, 'too early');
    const from = await put(store, `${prefix}a`, '1');
    await put(store, `${prefix.slice(0, -1)}.other`, '');
    await using watched = new Watched(store, prefix, from);
    await watched.atLeast(1);
    const both = await commit(store, [{ put: `${prefix}b`, value: '2' }, { delete: `${prefix}a` }]);
    await watched.atLeast(3);
    assert.deepEqual(watched.changes, [
      { kind: 'put', record: { key: `${prefix}a`, value: '1', createRevision: from - 1, modRevision: from } },
      { kind: 'put', record: { key: `${prefix}b`, value: '2', createRevision: both, modRevision: both } },
      { kind: 'delete', key: `${prefix}a`, revision: both },
    ]);
  });

  check('a watch may be of a stretch of keys only', async (store, prefix) => {
    const from = await put(store, `${prefix}d`, '1');
    const stretch = { prefix, after: `${prefix}b`, upTo: `${prefix}d` };
    await using watched = new Watched(store, stretch, from);
    for (const name of ['b', 'b0', 'c', 'd0', 'e', 'd', 'a']) await put(store, `${prefix}${name}`, '2');
    await commit(store, [{ delete: `${prefix}e` }, { delete: `${prefix}c` }]);
    await watched.atLeast(5);
    assert.deepEqual(
      watched.keys,
      ['d', 'b0', 'c', 'd', 'c'].map(name => `${prefix}${name}`),
    );
  });

  check('the stretch of a watch never leaves its prefix', async (store, prefix) => {
    const from = await put(store, `${prefix}a`, '1');
    await using watched = new Watched(
      store,
      { prefix, after: prefix.slice(0, -1), upTo: `${prefix}\u{10ffff}z` },
      from,
    );
    await put(store, `${prefix.slice(0, -1)}.other`, '');
    await put(store, `${prefix.slice(0, -1)}~`, '');
    await put(store, `${prefix}z`, '');
    await watched.atLeast(2);
    assert.deepEqual(watched.keys, [`${prefix}a`, `${prefix}z`]);
  });

  check('a watch may begin at a revision that is yet to come', async (store, prefix) => {
    const now = await put(store, `${prefix}a`, '');
    await using watched = new Watched(store, prefix, now + 3);
    await put(store, `${prefix}b`, '');
    await put(store, `${prefix}c`, '');
    await put(store, `${prefix}d`, '');
    await watched.atLeast(1);
    assert.deepEqual(watched.keys, [`${prefix}d`]);
  });

  check('a watch hears of what other connections write', async (store, prefix, fixture) => {
    await using other = await openStore(fixture.address);
    const now = await put(store, `${prefix}a`, '');
    await using watched = new Watched(store, prefix, now + 1);
    await put(other, `${prefix}b`, '');
    await watched.atLeast(1);
  });

  check('a batch never ends within a revision', async (store, prefix) => {
    const keys = Array.from({ length: 100 }, (_, n) => `${prefix}${n}`);
    const from = await put(store, `${prefix}before`, '');
    for (let round = 0; round < 25; round++)
      await commit(
        store,
        keys.map(key => ({ put: key, value: String(round) })),
      );
    await using watched = new Watched(store, prefix, from + 1);
    await watched.atLeast(2500);
    const sizes = watched.batches.map(batch => batch.changes.length % 100);
    assert.deepEqual(new Set(sizes), new Set([0]));
  });

  check('a backlog of 6,000 events arrives whole and in order', async (store, prefix) => {
    const from = await writeMany(store, prefix, 6000);
    await using watched = new Watched(store, prefix, from);
    await watched.atLeast(6000);
    assertEachOnce(watched, 6000);
  });

  check('a watch from a compacted revision is told that changes are gone', async (store, prefix, fixture) => {
    const then = await put(store, `${prefix}a`, '1');
    await put(store, `${prefix}a`, '2');
    await fixture.compact(await put(store, `${prefix}a`, '3'));
    const watched = new Watched(store, prefix, then);
    await until('the watch ends', () => watched.hasEnded);
    assert.ok(isCiError(watched.error, 'gone'), String(watched.error));
  });

  check('a watch ends quietly with its signal', async (store, prefix) => {
    const watched = new Watched(store, prefix, 1_000_000_000);
    await watched.stop();
    assert.deepEqual([watched.hasEnded, watched.error], [true, undefined]);
  });

  check('the end of a store ends its watches quietly', async (_store, prefix, fixture) => {
    const other = await openStore(fixture.address);
    const now = await put(other, `${prefix}a`, '');
    const watched = new Watched(other, prefix, now);
    await watched.atLeast(1);
    await other[Symbol.asyncDispose]();
    await until('the watch ends', () => watched.hasEnded);
    assert.equal(watched.error, undefined);
    await fails(other.range({ prefix, limit: 1 }, call), 'unavailable');
  });

  check('a call whose signal has fired does nothing but reject with its reason', async (store, prefix) => {
    const reason = new Error('enough');
    const ended = { signal: AbortSignal.abort(reason), timeoutMs: 1000 };
    const transaction = { when: [], then: [{ put: `${prefix}a`, value: '' }] };
    await assert.rejects(store.range({ prefix, limit: 1 }, ended), reason);
    await assert.rejects(store.commit(transaction, ended), reason);
    await assert.rejects(store.grantLease(5, ended), reason);
    assert.equal((await store.range({ prefix, limit: 1 }, call)).records.length, 0);
  });

  check(
    'following a prefix gives what there is, then what changes, then all again when history is lost',
    async (store, prefix, fixture) => {
      for (const end of ['a', 'b', 'c']) await put(store, prefix + end, '');
      const stop = new AbortController();
      const options = { prefix, clock: systemClock, chance: systemChance, pageSize: 2 };
      const events = follow(store, options, stop.signal);
      const first = await nextEvent(events);
      assert.deepEqual(first.kind === 'snapshot' && first.records.map(({ key }) => key.slice(prefix.length)), [
        'a',
        'b',
        'c',
      ]);
      const revision = await commit(store, [{ delete: `${prefix}a` }]);
      const second = await nextEvent(events);
      assert.deepEqual(second, {
        kind: 'changes',
        revision,
        changes: [{ kind: 'delete', key: `${prefix}a`, revision }],
      });
      // Events that wait while history is dropped: at the latest then the rest is read anew.
      for (let n = 0; n < 3; n++) await put(store, `${prefix}d`, String(n));
      await fixture.compact(await put(store, `${prefix}e`, ''));
      const seen = new Set<string>();
      await until('e is seen', async () => {
        const event = await nextEvent(events);
        const records =
          event.kind === 'snapshot' ? event.records : event.changes.flatMap(c => (c.kind === 'put' ? [c.record] : []));
        for (const record of records) seen.add(record.key.slice(prefix.length));
        return seen.has('e');
      });
      assert.ok(seen.has('d'));
      stop.abort();
      assert.equal((await events.next()).done, true);
    },
  );

  checkFaults(
    'a commit whose answer was lost is ambiguous, and reading back shows it',
    async (store, prefix, faults) => {
      await store.range({ prefix, limit: 1 }, call);
      const { undo } = faults.dropAnswers();
      const attempt = (name: string) => {
        const key = prefix + name;
        return store.commit(
          { when: [{ key, exists: false }], then: [{ put: key, value: 'nonce-1' }] },
          { ...call, timeoutMs: 1500 },
        );
      };
      const alone = await attempt('a');
      const together = await Promise.all([attempt('b'), attempt('c')]);
      undo();
      assert.deepEqual(
        [alone, ...together].map(({ kind }) => kind),
        ['ambiguous', 'ambiguous', 'ambiguous'],
      );
      const { records } = await store.range({ prefix, limit: 9 }, call);
      assert.deepEqual(
        records.map(({ value }) => value),
        ['nonce-1', 'nonce-1', 'nonce-1'],
      );
    },
  );

  checkFaults('a call without an answer ends by its timeout and by its signal', async (store, prefix, faults) => {
    await store.range({ prefix, limit: 1 }, call);
    const { undo } = faults.dropAnswers();
    const reason = new Error('enough');
    const aborted = AbortSignal.timeout(300);
    const manual = new AbortController();
    aborted.addEventListener('abort', () => manual.abort(reason), { once: true });
    await Promise.all([
      fails(store.range({ prefix, limit: 1 }, { ...call, timeoutMs: 1200 }), 'unavailable'),
      assert.rejects(store.range({ prefix, limit: 1 }, { signal: manual.signal, timeoutMs: 60_000 }), reason),
      assert.rejects(store.commit({ when: [], then: [] }, { signal: manual.signal, timeoutMs: 60_000 }), reason),
    ]);
    undo();
    await store.range({ prefix, limit: 1 }, call);
  });

  checkFaults('a watch loses and repeats nothing when its connection is cut', async (store, prefix, faults) => {
    const from = await put(store, `${prefix}before`, '');
    await using watched = new Watched(store, prefix, from + 1);
    for (let round = 0; round < 5; round++) {
      for (let n = 0; n < 50; n++) await persist(store, `${prefix}${String(round * 50 + n).padStart(6, '0')}`);
      faults.cut();
    }
    await watched.atLeast(250);
    assertEachOnce(watched, 250);
  });

  checkFaults(
    'a watch loses and repeats nothing when it is cut again and again amid a backlog',
    async (store, prefix, faults) => {
      const from = await writeMany(store, prefix, 6000);
      faults.cutEvery(200_000);
      await using watched = new Watched(store, prefix, from);
      await watched.atLeast(2000);
      faults.cutEvery(0);
      await watched.atLeast(6000);
      assertEachOnce(watched, 6000);
    },
  );

  checkFaults('a watch loses and repeats nothing when the leader changes', async (store, prefix, faults) => {
    const from = await put(store, `${prefix}before`, '');
    await using watched = new Watched(store, prefix, from + 1);
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 50; n++) await persist(store, `${prefix}${String(round * 50 + n).padStart(6, '0')}`);
      await faults.moveLeader();
    }
    await persist(store, `${prefix}${String(150).padStart(6, '0')}`);
    await watched.atLeast(151);
    assertEachOnce(watched, 151);
  });
}

/** Milliseconds from just before a lease is granted until a watch tells that its key is gone. */
async function lifetime(store: Store, key: string, renewAfterMs?: number): Promise<number> {
  const start = systemClock.monotonic();
  const lease = await store.grantLease(30, call);
  const revision = await put(store, key, '', lease);
  await using watched = new Watched(store, key, revision + 1);
  if (renewAfterMs) {
    await systemClock.sleep(renewAfterMs, neverAborted);
    assert.equal(await store.renewLease(lease, call), 30);
  }
  await watched.atLeast(1);
  return systemClock.monotonic() - start;
}

async function renewEvery(ms: number, store: Store, lease: LeaseId, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await store.renewLease(lease, call);
    await systemClock.sleep(ms, signal).catch(() => undefined);
  }
}

/** Writes so many keys, a revision each, in the order of their names; answers the revision of the first. */
async function writeMany(store: Store, prefix: string, count: number): Promise<number> {
  const first = await put(store, `${prefix}000000`, '');
  let next = 1;
  // Several at a time, as a revision each takes a while; the order among those is then that of their revisions. The deletion of
  // nothing, which all have in common, keeps a store from giving several one revision.
  const writers = Array.from({ length: 24 }, async () => {
    while (next < count) {
      const key = `${prefix}${String(next++).padStart(6, '0')}`;
      await commit(store, [{ put: key, value: 'x'.repeat(100) }, { delete: `${prefix}nothing` }]);
    }
  });
  await Promise.all(writers);
  return first;
}

async function nextEvent(events: AsyncIterator<FollowEvent>): Promise<FollowEvent> {
  const next = await events.next();
  assert.ok(!next.done, 'following ended');
  return next.value;
}

async function watchOnce(store: Store, request: WatchRequest): Promise<void> {
  for await (const _ of store.watch(request, neverAborted)) return;
}

function assertEachOnce(watched: Watched, count: number): void {
  const expected = Array.from({ length: count }, (_, n) => String(n).padStart(6, '0'));
  assert.deepEqual(watched.keys.map(key => key.slice(-6)).sort(), expected);
  assert.deepEqual(
    watched.revisions,
    [...watched.revisions].sort((a, b) => a - b),
  );
}

/** Changes, deletes and adds records until told to stop; answers how many times. */
async function disturb(store: Store, keys: readonly string[], signal: AbortSignal): Promise<number> {
  let rounds = 0;
  for (; !signal.aborted || rounds === 0; rounds++) {
    const key = keys[(rounds * 7919) % keys.length]!;
    const change = rounds % 2 ? { delete: key } : { put: key, value: 'changed' };
    await commit(store, [change, { put: `${key}-new`, value: 'added' }]);
  }
  return rounds;
}

/** Puts a new key, again if the answer was lost or nobody could be asked. */
async function persist(store: Store, key: string): Promise<void> {
  await until(`${key} is written`, async () => {
    const transaction = { when: [{ key, exists: false }], then: [{ put: key, value: '' }] };
    const result = await store.commit(transaction, { ...call, timeoutMs: 5000 }).catch(() => undefined);
    return result?.kind === 'committed' || result?.kind === 'refused';
  });
}

function put(store: Store, key: string, value: string, lease?: LeaseId): Promise<number> {
  return commit(store, [{ put: key, value, ...(lease !== undefined && { lease }) }]);
}

async function commit(store: Store, then: readonly Operation[]): Promise<number> {
  const result = await store.commit({ when: [], then }, call);
  if (result.kind !== 'committed') throw new Error(`Expected a commit, got ${JSON.stringify(result)}`);
  return result.revision;
}

async function fails(work: Promise<unknown>, code: Parameters<typeof isCiError>[1]): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    if (isCiError(error, code)) return true;
    throw new Error(`Expected a CiError "${code}"`, { cause: error });
  });
}
