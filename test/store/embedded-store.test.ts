import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { isCiError } from '../../shared/errors.ts';
import { EmbeddedStore } from '../../node-runtime/store/embedded-store.ts';
import { readAll } from '../../node-runtime/store/read-all.ts';
import type { Store } from '../../node-runtime/store/store.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { startStoreChild } from '../support/store-child.ts';
import { until } from '../support/until.ts';
import { Watched } from '../support/watched.ts';

const call = { signal: neverAborted, timeoutMs: 30_000 };
const dir = mkdtempSync(join(tmpdir(), 'simple-ci-embedded-'));
after(() => rmSync(dir, { recursive: true, force: true }));

let files = 0;
const newFile = () => join(dir, `store-${++files}.sqlite`);
const open = (file: string) => EmbeddedStore.open({ file, clock: systemClock });
const keyExists = async (store: Store, key: string) =>
  (await store.range({ key, limit: 1 }, call)).records.length === 1;

const failsWith = (code: string, pattern: RegExp) => (error: unknown) => {
  assert.ok(isCiError(error), String(error));
  assert.equal(error.code, code);
  assert.match(error.message, pattern);
  return true;
};

test('kill -9 of a process in the midst of writing loses nothing that was acknowledged', async () => {
  const file = newFile();
  const writers = ['a', 'b'].map(prefix => {
    let last = -1;
    const child = startStoreChild({ kind: 'embedded', file }, { kind: 'write', prefix: `${prefix}/` }, n => {
      last = n;
    });
    return { prefix, child, last: () => last };
  });
  await until('300 writes of each', () => writers.every(writer => writer.last() > 300));
  for (const { child } of writers) child.kill();
  await Promise.all(writers.map(({ child }) => child.done));
  await using store = await open(file);
  for (const { prefix, last } of writers) {
    const found = new Set((await Array.fromAsync(readAll(store, `${prefix}/`, call))).map(record => record.value));
    const missing = Array.from({ length: last() + 1 }, (_, n) => String(n)).filter(n => !found.has(n));
    assert.deepEqual(missing, []);
  }
});

test('a restart goes on with the same records, revisions and history', async () => {
  const file = newFile();
  let revision: number;
  {
    await using store = await open(file);
    const result = await store.commit({ when: [], then: [{ put: 'a', value: '1' }] }, call);
    assert.equal(result.kind, 'committed');
    ({ revision } = result as { revision: number });
  }
  await using store = await open(file);
  await using watched = new Watched(store, '', revision);
  const next = await store.commit({ when: [{ key: 'a', modRevision: revision }], then: [{ delete: 'a' }] }, call);
  assert.deepEqual(next, { kind: 'committed', revision: revision + 1 });
  await watched.atLeast(2);
  assert.deepEqual(watched.revisions, [revision, revision + 1]);
});

test('a lease ends within half a second after its time, and not before', async () => {
  const clock = new FakeClock();
  await using store = await EmbeddedStore.open({ file: ':memory:', clock });
  const lease = await store.grantLease(30, call);
  await store.commit({ when: [], then: [{ put: 'a', value: '', lease }] }, call);
  await clock.advance(29_999);
  assert.equal(await keyExists(store, 'a'), true);
  await clock.advance(501);
  assert.equal(await keyExists(store, 'a'), false);
});

test('a lease whose time is up is neither renewed nor put under, swept or not', async () => {
  const clock = new FakeClock();
  await using store = await EmbeddedStore.open({ file: ':memory:', clock });
  await clock.advance(250);
  const lease = await store.grantLease(30, call);
  await clock.advance(30_000);
  assert.equal(await store.renewLease(lease, call), 0);
  const late = store.commit({ when: [], then: [{ put: 'a', value: '', lease }] }, call);
  await assert.rejects(late, failsWith('conflict', /lease does not exist/));
});

test('the wall clock may be set either way without a lease ending', async () => {
  const clock = new FakeClock();
  await using store = await EmbeddedStore.open({ file: ':memory:', clock });
  const lease = await store.grantLease(30, call);
  clock.step(86_400_000);
  await clock.advance(1000);
  clock.step(-2 * 86_400_000);
  await clock.advance(1000);
  assert.equal(await store.renewLease(lease, call), 30);
});

test('a restart of the machine gives leases their full time again', async () => {
  const file = newFile();
  const before = new FakeClock();
  await before.advance(1_000_000);
  const old = await EmbeddedStore.open({ file, clock: before, boot: 'first' });
  const lease = await old.grantLease(30, call);
  await old.commit({ when: [], then: [{ put: 'a', value: '', lease }] }, call);
  await old[Symbol.asyncDispose]();
  for (const boot of ['second', 'third']) {
    const clock = new FakeClock();
    // The third life is longer already than the first was when the lease was granted.
    await clock.advance(boot === 'third' ? 5_000_000 : 0);
    await using store = await EmbeddedStore.open({ file, clock, boot });
    await clock.advance(29_000);
    assert.equal(await keyExists(store, 'a'), true, boot);
    if (boot === 'third') {
      await clock.advance(1500);
      assert.equal(await keyExists(store, 'a'), false);
    }
  }
});

test('a lease outlives the process that took it, and ends while another has the file open', async () => {
  const file = newFile();
  const clock = new FakeClock();
  const first = await EmbeddedStore.open({ file, clock });
  const lease = await first.grantLease(30, call);
  await first.commit({ when: [], then: [{ put: 'a', value: '', lease }] }, call);
  await first[Symbol.asyncDispose]();
  await clock.advance(20_000);
  await using second = await EmbeddedStore.open({ file, clock });
  await clock.advance(9000);
  assert.equal(await keyExists(second, 'a'), true);
  await clock.advance(1600);
  assert.equal(await keyExists(second, 'a'), false);
});

test('history is kept for so many revisions and no more', async () => {
  await using store = await EmbeddedStore.open({ file: ':memory:', clock: systemClock, historyLength: 50 });
  for (let n = 0; n < 200; n++) await store.commit({ when: [], then: [{ put: 'a', value: String(n) }] }, call);
  const { revision } = await store.range({ key: 'a', limit: 1 }, call);
  const then = await store.range({ key: 'a', limit: 1, revision: revision - 50 }, call);
  assert.equal(then.records[0]!.value, '149');
  await assert.rejects(
    store.range({ key: 'a', limit: 1, revision: revision - 60 }, call),
    failsWith('gone', /dropped/),
  );
});

test('while another process holds the file a call waits without blocking, then gives up', async () => {
  const file = newFile();
  await using store = await open(file);
  const other = new DatabaseSync(file);
  other.exec('BEGIN IMMEDIATE');
  let turns = 0;
  const ticking = setInterval(() => turns++, 5);
  const transaction = { when: [], then: [{ put: 'a', value: '' }] };
  await assert.rejects(
    store.commit(transaction, { ...call, timeoutMs: 400 }),
    failsWith('unavailable', /kept .* busy/),
  );
  clearInterval(ticking);
  const waiting = store.commit(transaction, call);
  await settle();
  other.exec('ROLLBACK');
  other.close();
  assert.equal((await waiting).kind, 'committed');
  assert.ok(turns >= 5, `the event loop turned ${turns} times in 400 ms`);
});

test('a waiting call ends with its signal', async () => {
  const file = newFile();
  await using store = await open(file);
  const other = new DatabaseSync(file);
  other.exec('BEGIN IMMEDIATE');
  const stop = new AbortController();
  const waiting = store.commit({ when: [], then: [{ put: 'a', value: '' }] }, { ...call, signal: stop.signal });
  const reason = new Error('enough');
  stop.abort(reason);
  await assert.rejects(waiting, reason);
  other.close();
});

test('a file of a newer release is refused and left alone', async () => {
  const file = newFile();
  await (await open(file))[Symbol.asyncDispose]();
  const db = new DatabaseSync(file);
  db.exec('PRAGMA user_version = 2');
  db.close();
  await assert.rejects(open(file), failsWith('newer-format', /format 2 where this one knows 1/));
});

test('a file that is something else is refused and left alone', async () => {
  const text = newFile();
  writeFileSync(text, 'This is no database, but long enough to be looked at as one.\n'.repeat(100));
  await assert.rejects(open(text), failsWith('invalid', /not a database: .*sqlite$/));
  const foreign = newFile();
  const db = new DatabaseSync(foreign);
  db.exec('CREATE TABLE addresses (name TEXT)');
  db.close();
  await assert.rejects(open(foreign), failsWith('invalid', /database of another program/));
  const folder = newFile();
  mkdirSync(folder);
  await assert.rejects(open(folder), failsWith('invalid', /not that of a file/));
});

test('a file that may not be read is named', async t => {
  if (process.getuid?.() === 0) return t.skip('root may read every file');
  const file = newFile();
  await (await open(file))[Symbol.asyncDispose]();
  chmodSync(file, 0);
  await assert.rejects(open(file), failsWith('unavailable', /access to it is denied/));
});

test('the file belongs to its owner alone', async () => {
  const file = newFile();
  await using store = await open(file);
  await store.commit({ when: [], then: [{ put: 'a', value: '' }] }, call);
  assert.deepEqual(
    ['', '-wal', '-shm'].map(end => statSync(file + end).mode & 0o077),
    [0, 0, 0],
  );
});

test('several processes may make the file at the same time', async () => {
  const file = join(dir, 'new', 'folder', 'store.sqlite');
  const job = { kind: 'count', key: 'n', times: 5 } as const;
  const children = [1, 2, 3].map(() => startStoreChild({ kind: 'embedded', file }, job));
  assert.deepEqual(await Promise.all(children.map(child => child.done)), [0, 0, 0]);
  await using store = await open(file);
  assert.equal((await store.range({ key: 'n', limit: 1 }, call)).records[0]!.value, '15');
});

test('a full disk is named, loses nothing acknowledged and can still be read', async t => {
  const mounted = mkdtempSync(join(dir, 'disk-'));
  const program = join(import.meta.dirname, '../support/full-disk-child.ts');
  const script = 'mount -t tmpfs -o size=2m tmpfs "$1" || exit 77; exec "$2" "$3" "$1"';
  const args = ['-Urm', 'sh', '-c', script, 'sh', mounted, process.execPath, program];
  let stdout: string;
  try {
    ({ stdout } = await promisify(execFile)('unshare', args, { timeout: 60_000 }));
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    // Whoever may not have a user namespace of their own cannot have a disk of their own.
    if (code === 77 || code === 'ENOENT' || /unshare/.test(stderr ?? ''))
      return t.skip('no small disk can be mounted here');
    throw error;
  }
  const told = JSON.parse(stdout) as { acknowledged: number; stored: number; code: string; message: string };
  assert.equal(told.code, 'unavailable');
  assert.match(told.message, /its disk is full: .*store\.sqlite$/);
  assert.equal(told.stored, told.acknowledged);
  assert.ok(told.acknowledged > 3);
});
