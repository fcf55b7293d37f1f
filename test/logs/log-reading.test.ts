import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AttemptName, Logs } from '../../node-runtime/logs/logs.ts';
import { DirectoryObjectStore } from '../../node-runtime/objects/directory-object-store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { isCiError } from '../../shared/errors.ts';
import { LOG_BLOCK_BYTES } from '../../shared/log-piece.ts';
import { logPieceName } from '../../shared/log-piece-name.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { MemoryObjectStore } from '../support/memory-object-store.ts';
import { newAttempt, numberedLines, readAll, readNow, type Seen, testKeys, testLogs } from '../support/test-logs.ts';
import { eventually } from '../support/test-tasks.ts';

/** What happens to a log, one thing after another. */
type Move =
  | { readonly kind: 'write'; readonly bytes: number }
  | { readonly kind: 'mark' }
  | { readonly kind: 'pause'; readonly ms: number }
  /** Somebody starts to follow, at this part of what was written so far. */
  | { readonly kind: 'follow'; readonly at: number; readonly where: 'here' | 'elsewhere' };

const record = fc.record;
const write = (most: number) =>
  record({ kind: fc.constant('write' as const), bytes: fc.integer({ min: 1, max: most }) });
const mark = record({ kind: fc.constant('mark' as const) });
const pause = record({ kind: fc.constant('pause' as const), ms: fc.integer({ min: 0, max: 1500 }) });
const follow = record({
  kind: fc.constant('follow' as const),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  where: fc.constantFrom('here' as const, 'elsewhere' as const),
});

function script(most: number, ...others: { weight: number; arbitrary: fc.Arbitrary<Move> }[]): fc.Arbitrary<Move[]> {
  const usual = [write(most), write(most), mark, pause, pause].map(arbitrary => ({ weight: 3, arbitrary }));
  return fc.array(fc.oneof(...usual, ...others), { maxLength: 150, size: 'max' });
}

const SOURCE = numberedLines(40_000_000);

/** A log being written in virtual time on a store that takes a while for everything. */
class Story {
  readonly clock = new FakeClock();
  readonly objects = new MemoryObjectStore({ clock: this.clock });
  readonly attempt: AttemptName = newAttempt();
  readonly here: Logs = testLogs(this.objects, this.clock);
  readonly elsewhere: Logs = testLogs(this.objects, this.clock);
  readonly log = this.here.open(this.attempt, []);
  readonly marks: { offset: number; text: string }[] = [];
  readonly followers: { from: number; seen: Promise<Seen> }[] = [];
  /** How much had been written at each moment. */
  readonly history: { time: number; written: number }[] = [];
  written = 0;
  over: 'finished' | 'lost' | undefined;

  constructor(storeMs: number) {
    let turn = 0;
    this.objects.fault = () => this.clock.sleep((turn++ * 7919) % (storeMs + 1), neverAborted);
  }

  async do(move: Move): Promise<void> {
    switch (move.kind) {
      case 'write':
        return this.#write(SOURCE.subarray(this.written, this.written + move.bytes));
      case 'mark':
        this.marks.push({ offset: this.written, text: `mark ${this.marks.length}` });
        return this.log.mark('note', this.marks.at(-1)!.text);
      case 'pause':
        return this.clock.advance(move.ms);
      case 'follow':
        return this.#follow(Math.floor(this.written * move.at), move.where);
    }
  }

  async finish(): Promise<void> {
    await this.#until(this.log.finish());
    this.over = 'finished';
    await this.#until(this.log[Symbol.asyncDispose]());
  }

  /** One object for each MiB and the manifest, whose last piece may be in it: nothing else. */
  checkObjects(): void {
    const pieces = [...this.objects.objects.keys()].filter(key => !key.endsWith('/log.json'));
    const last = this.written % 1_048_576;
    const most = Math.ceil(this.written / 1_048_576) - (last > 0 && last <= 65_536 ? 1 : 0);
    assert.equal(pieces.length, most, pieces.join('\n'));
  }

  async check(): Promise<void> {
    this.#follow(0, 'elsewhere');
    this.#follow(Math.floor(this.written / 2), 'here');
    for (const { from, seen } of this.followers) {
      const { bytes, marks, end } = await this.#until(seen);
      assert.equal(bytes.compare(SOURCE.subarray(from, this.written)), 0, `the bytes from ${from} on`);
      const given = marks.map(({ offset, text }) => ({ offset, text }));
      assert.deepEqual(
        given,
        this.marks.filter(({ offset }) => offset >= from),
      );
      assert.deepEqual(end, { kind: 'end', offset: this.written, reason: 'finished' });
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.#until(this.log.write(bytes));
    this.written += bytes.length;
    this.history.push({ time: this.clock.monotonic(), written: this.written });
  }

  #follow(from: number, where: 'here' | 'elsewhere'): void {
    const request = { ...this.attempt, from, follow: true, isOver: async () => this.over };
    const seen = readAll(this[where].read(request, neverAborted));
    seen.catch(() => undefined);
    this.followers.push({ from, seen });
  }

  /** Lets time pass for as long as that takes. */
  async #until<T>(promise: PromiseLike<T>): Promise<T> {
    let isSettled = false;
    const settled = () => {
      isSettled = true;
    };
    promise.then(settled, settled);
    await this.clock.advanceUntil(() => isSettled);
    return promise;
  }
}

const moves = script(300, { weight: 1, arbitrary: write(900_000) }, { weight: 2, arbitrary: follow });

test('whoever reads from wherever at whatever time sees exactly what was written, with the marks in their places', async () => {
  await fc.assert(
    fc.asyncProperty(moves, fc.constantFrom(0, 40, 400, 2000), async (moves, storeMs) => {
      const story = new Story(storeMs);
      for (const move of moves) await story.do(move);
      await story.finish();
      if (storeMs < 1000) story.checkObjects();
      await story.check();
    }),
    { numRuns: 60 },
  );
});

/** What another node finds when the writer is gone from one moment to the next. */
async function storedAtDeath(moves: readonly Move[]) {
  const story = new Story(450);
  for (const move of moves) await story.do(move);
  const survivors = new MemoryObjectStore();
  for (const [key, object] of story.objects.objects) survivors.objects.set(key, object);
  const seen = await readNow(testLogs(survivors, systemClock), story.attempt, 0, 'lost');
  return { story, seen };
}

test('what is stored at kill -9 is a beginning of what was written, with the marks in it', async () => {
  await fc.assert(
    fc.asyncProperty(moves, async moves => {
      const { story, seen } = await storedAtDeath(moves);
      assert.equal(seen.bytes.compare(SOURCE.subarray(0, seen.bytes.length)), 0);
      assert.deepEqual(seen.end, { kind: 'end', offset: seen.bytes.length, reason: 'lost' });
      assert.deepEqual(
        seen.marks.map(({ offset, text }) => ({ offset, text })),
        story.marks.slice(0, seen.marks.length),
      );
    }),
    { numRuns: 40 },
  );
});

test('what is stored at kill -9 lacks the last second at most', async () => {
  // Few bytes, as more would be compressed by threads, for which virtual time does not wait.
  await fc.assert(
    fc.asyncProperty(script(100), async moves => {
      const { story, seen } = await storedAtDeath(moves);
      const dead = story.clock.monotonic();
      const due = story.history.findLast(({ time }) => time <= dead - 1000)?.written ?? 0;
      assert.ok(seen.bytes.length >= due, `${seen.bytes.length} of the ${due} bytes that were older than a second`);
    }),
    { numRuns: 100 },
  );
});

test('a piece that is replaced between being found and being fetched is read in its new place', async () => {
  const clock = new FakeClock();
  const objects = new MemoryObjectStore({ clock });
  const attempt = newAttempt();
  const log = testLogs(objects, clock).open(attempt, []);
  for (const line of ['one\n', 'two\n', 'three\n']) {
    await log.write(Buffer.from(line));
    await clock.advance(600);
  }
  objects.fault = async (operation, key) => {
    if (operation !== 'get' || !key.endsWith('8')) return;
    objects.fault = () => undefined;
    await log.finish();
    await log[Symbol.asyncDispose]();
  };
  assert.equal((await readNow(testLogs(objects, clock), attempt)).bytes.toString(), 'one\ntwo\nthree\n');
  assert.deepEqual(
    [...objects.objects.keys()].map(key => key.split('/').at(-1)),
    ['log.json'],
  );
});

test('a reader that has seen more than was stored is told that the rest is lost', async () => {
  const clock = new FakeClock();
  const objects = new MemoryObjectStore({ clock });
  const attempt = newAttempt();
  const log = testLogs(objects, clock).open(attempt, []);
  await log.write(Buffer.from('stored\n'));
  await clock.advance(600);
  await log.write(Buffer.from('not stored\n'));
  const seen = await readNow(testLogs(objects, clock), attempt, 18, 'lost');
  assert.deepEqual(seen, {
    start: 18,
    bytes: Buffer.alloc(0),
    marks: [],
    end: { kind: 'end', offset: 18, reason: 'lost' },
  });
});

test('reading what is there now ends without an end while the attempt runs', async () => {
  const clock = new FakeClock();
  const objects = new MemoryObjectStore({ clock });
  const logs = testLogs(objects, clock);
  const attempt = newAttempt();
  const log = logs.open(attempt, []);
  await log.write(Buffer.from('so far\n'));
  await clock.advance(600);
  for (const each of [logs, testLogs(objects, clock)]) {
    const seen = await readNow(each, attempt);
    assert.equal(seen.bytes.toString(), 'so far\n');
    assert.equal(seen.end, undefined);
  }
});

test('a tail starts that many bytes before what is known', async () => {
  const clock = new FakeClock();
  const objects = new MemoryObjectStore({ clock });
  const logs = testLogs(objects, clock);
  const attempt = newAttempt();
  const bytes = numberedLines(2_500_000);
  await using log = logs.open(attempt, []);
  await log.write(bytes);
  const tail = async (each: Logs, length: number) =>
    (await readAll(each.read({ ...attempt, from: 0, follow: false, tail: length }, neverAborted))).bytes;
  assert.equal((await tail(logs, 1000)).compare(bytes.subarray(-1000)), 0);
  await log.finish();
  const others = testLogs(objects, clock);
  assert.equal((await tail(others, 1_500_000)).compare(bytes.subarray(-1_500_000)), 0);
  assert.equal((await tail(others, 10_000_000)).compare(bytes), 0);
  assert.equal(await others.length(attempt, neverAborted), bytes.length);
});

test('opening the tail of a long log asks for two objects, however long it is', async () => {
  const objects = new MemoryObjectStore();
  const logs = testLogs(objects, systemClock);
  const attempt = newAttempt();
  await using log = logs.open(attempt, []);
  await log.write(numberedLines(40_000_000));
  await log.finish();
  objects.operations.length = 0;
  const others = testLogs(objects, systemClock);
  await readAll(others.read({ ...attempt, from: 0, follow: false, tail: 10_000 }, neverAborted));
  assert.ok(objects.operations.length <= 3, JSON.stringify(objects.operations));
});

test('while a reader who is far behind looks at one piece the next two are fetched, and no more', async () => {
  const objects = new MemoryObjectStore();
  const here = testLogs(objects, systemClock);
  const attempt = newAttempt();
  const bytes = numberedLines(20 * LOG_BLOCK_BYTES);
  await using log = here.open(attempt, []);
  await log.write(bytes);
  const blocks = Array.from({ length: 20 }, (_, at) => ({
    start: at * LOG_BLOCK_BYTES,
    end: (at + 1) * LOG_BLOCK_BYTES,
  }));
  const keys = blocks.map(block => testKeys.log(attempt.task, attempt.fence) + logPieceName(block));
  await eventually('all blocks to be stored', () => keys.every(key => objects.objects.has(key)) || undefined);
  for (const logs of [here, testLogs(objects, systemClock)]) {
    let asked = 0;
    objects.fault = (operation, key) => {
      if (operation === 'get' && keys.includes(key)) asked++;
    };
    const most: number[] = [];
    for await (const event of logs.read({ ...attempt, from: 0, follow: false }, neverAborted)) {
      if (event.kind !== 'bytes') continue;
      await settle();
      most[Math.floor(event.offset / LOG_BLOCK_BYTES)] = asked;
    }
    assert.deepEqual(
      most,
      blocks.map((_, at) => Math.min(at + 3, asked)),
    );
    assert.ok(asked >= 12, `${asked} pieces came from the store`);
  }
});

test('a crowd that reads the same log asks for each block of it once, and who leaves takes nothing from the others', async () => {
  const objects = new MemoryObjectStore();
  const attempt = newAttempt();
  const written = numberedLines(3 * LOG_BLOCK_BYTES + 5);
  await using log = testLogs(objects, systemClock).open(attempt, []);
  await log.write(written);
  await log.finish();
  objects.operations.length = 0;
  const elsewhere = testLogs(objects, systemClock);
  const leaving = new AbortController();
  const left = readAll(
    elsewhere.read({ ...attempt, from: 0, follow: false, isOver: async () => undefined }, leaving.signal),
  );
  const crowd = Array.from({ length: 50 }, () => readNow(elsewhere, attempt));
  leaving.abort(new Error('enough'));
  await assert.rejects(left, /enough/);
  for (const { bytes } of await Promise.all(crowd)) assert.ok(bytes.equals(written));
  const blocks = objects.operations.filter(({ operation, key }) => operation === 'get' && key.includes('/log/'));
  assert.equal(blocks.length, new Set(blocks.map(({ key }) => key)).size, JSON.stringify(blocks));
});

test('who follows an attempt of this node before it begins gets its output at once when it does', async () => {
  const clock = new FakeClock();
  const logs = testLogs(new MemoryObjectStore({ clock }), clock);
  const attempt = newAttempt();
  const follower = logs.read({ ...attempt, from: 0, follow: true }, neverAborted)[Symbol.asyncIterator]();
  const first = follower.next();
  await clock.advance(100);
  const log = logs.open(attempt, []);
  await log.write(Buffer.from('hello\n'));
  await clock.advance(0);
  assert.equal((await first).value?.kind, 'bytes');
});

test('following ends when its signal fires, wherever it is', async () => {
  const clock = new FakeClock();
  const logs = testLogs(new MemoryObjectStore({ clock }), clock);
  const attempt = newAttempt();
  await using _log = logs.open(attempt, []);
  for (const name of [attempt, newAttempt()]) {
    const stop = new AbortController();
    const seen = readAll(logs.read({ ...name, from: 0, follow: true }, stop.signal));
    await clock.advance(10);
    stop.abort(new Error('enough'));
    await assert.rejects(seen, /enough/);
  }
});

test('a finished log of which a piece was deleted says so', async () => {
  const objects = new MemoryObjectStore();
  const attempt = newAttempt();
  await using log = testLogs(objects, systemClock).open(attempt, []);
  await log.write(numberedLines(2_000_000));
  await log.finish();
  for (const key of objects.objects.keys()) if (key.includes('/log/')) objects.objects.delete(key);
  await assert.rejects(readNow(testLogs(objects, systemClock), attempt), error => isCiError(error, 'gone'));
});

test('a log on a disk is followed here and elsewhere while it is written, and read when it is finished', async () => {
  const root = await mkdtemp(join(tmpdir(), 'simple-ci-logs-'));
  try {
    const signer = { address: 'http://127.0.0.1:1', secret: 'only for tests' } as never;
    const open = () => new DirectoryObjectStore({ root, clock: systemClock, chance: systemChance, signer });
    const [here, elsewhere] = [testLogs(open(), systemClock), testLogs(open(), systemClock)];
    const attempt = newAttempt();
    const bytes = numberedLines(5_000_000);
    await using log = here.open(attempt, []);
    const followers = [here, elsewhere].map(each =>
      readAll(each.read({ ...attempt, from: 0, follow: true }, neverAborted)),
    );
    for (let at = 0; at < bytes.length; at += 500_000) {
      await log.write(bytes.subarray(at, at + 500_000));
      await systemClock.sleep(100, neverAborted);
    }
    await log.finish();
    for (const seen of [...followers, readNow(elsewhere, attempt)]) assert.equal((await seen).bytes.compare(bytes), 0);
  } finally {
    await rm(root, { recursive: true });
  }
});

test('the marks of a log are told without its bytes, while it is written here and once it is finished', async () => {
  const objects = new MemoryObjectStore();
  const [here, elsewhere] = [testLogs(objects, systemClock), testLogs(objects, systemClock)];
  const attempt = newAttempt();
  const writer = here.open(attempt, []);
  writer.mark('step-started', 'first', 0);
  await writer.write(Buffer.from('hello'));
  writer.mark('step-finished', 'passed', 0);
  const told = async (logs: Logs) => {
    const outline = await logs.outline(attempt, neverAborted);
    return outline && [outline.bytes, ...outline.marks.map(({ kind, offset }) => `${kind} at ${offset}`)];
  };
  const expected = [5, 'step-started at 0', 'step-finished at 5'];
  assert.deepEqual([await told(here), await told(elsewhere)], [expected, undefined]);
  await writer.finish();
  assert.deepEqual([await told(here), await told(elsewhere)], [expected, expected]);
});
