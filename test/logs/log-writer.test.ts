import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { createLogs } from '../../node-runtime/logs/node-logs.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { CiError, isCiError } from '../../shared/errors.ts';
import { LogManifest } from '../../shared/log-manifest.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { heldMemory } from '../support/held-memory.ts';
import { MemoryObjectStore } from '../support/memory-object-store.ts';
import { newAttempt, numberedLines, readAll, readNow, testKeys, testLogs } from '../support/test-logs.ts';
import { until } from '../support/until.ts';

const MIB = 1_048_576;

function setUp(storeTimeoutMs?: number) {
  const clock = new FakeClock();
  const objects = new MemoryObjectStore({ clock });
  const attempt = newAttempt();
  const prefix = testKeys.attempt(attempt.task, attempt.fence);
  return {
    clock,
    objects,
    attempt,
    logs: testLogs(objects, clock, storeTimeoutMs),
    /** As another node would have it. */
    others: testLogs(objects, clock),
    puts: () => objects.operations.filter(({ operation }) => operation === 'put').length,
    names: () => [...objects.objects.keys()].map(key => key.slice(prefix.length)).sort(),
  };
}

test('a log without output and marks stores nothing', async () => {
  const { logs, attempt, objects, others } = setUp();
  await using log = logs.open(attempt, []);
  assert.deepEqual(await log.finish(), { bytes: 0, lines: 0 });
  assert.equal(objects.operations.length, 0);
  assert.deepEqual((await readNow(others, attempt, 0, 'finished')).end, { kind: 'end', offset: 0, reason: 'finished' });
});

test('a log of a few lines is stored with one put', async () => {
  const { logs, attempt, puts, names, others } = setUp();
  await using log = logs.open(attempt, []);
  log.mark('step-started', 'make', 0);
  await log.write(Buffer.from('one\ntwo\n'));
  log.mark('step-finished', 'passed', 0);
  assert.deepEqual(await log.finish(), { bytes: 8, lines: 2 });
  assert.equal(puts(), 1);
  assert.deepEqual(names(), ['log.json']);
  const seen = await readNow(others, attempt);
  assert.equal(seen.bytes.toString(), 'one\ntwo\n');
  assert.deepEqual(
    seen.marks.map(({ offset, kind, text, step }) => [offset, kind, text, step]),
    [
      [0, 'step-started', 'make', 0],
      [8, 'step-finished', 'passed', 0],
    ],
  );
});

test('output is stored half a second after it came, and so is the heading of a step that prints nothing', async () => {
  const { logs, attempt, clock, others } = setUp();
  await using log = logs.open(attempt, []);
  await log.write(Buffer.from('early\n'));
  await clock.advance(501);
  log.mark('step-started', 'sleep 600', 1);
  await clock.advance(501);
  const seen = await readNow(others, attempt);
  assert.equal(seen.bytes.toString(), 'early\n');
  assert.deepEqual(
    seen.marks.map(mark => mark.text),
    ['sleep 600'],
  );
});

test('output waits for as long as it may, so that many lines are stored as one piece', async () => {
  const { attempt, clock, objects, names } = setUp();
  const logs = createLogs({ objects, objectKeys: testKeys, clock, chance: systemChance, flushMs: 5000 });
  await using log = logs.open(attempt, []);
  for (let line = 0; line < 10; line++) {
    await log.write(Buffer.from('a line\n'));
    await clock.advance(450);
  }
  assert.deepEqual(names(), []);
  await clock.advance(501);
  assert.deepEqual(names(), ['log/0000000000000000-0000000000000070']);
});

test('a piece that is long on its way keeps none of what follows from being stored in time', async () => {
  const { logs, attempt, clock, objects, others, names } = setUp();
  await using log = logs.open(attempt, []);
  let isFirst = true;
  objects.fault = operation => {
    if (operation !== 'put' || !isFirst) return;
    isFirst = false;
    return clock.sleep(2000, neverAborted);
  };
  await log.write(Buffer.from('first\n'));
  await clock.advance(501);
  await log.write(Buffer.from('second\n'));
  await clock.advance(501);
  assert.deepEqual(names(), ['log/0000000000000006-0000000000000013']);
  assert.equal((await readNow(others, attempt)).bytes.length, 0);
  await clock.advance(1500);
  assert.equal((await readNow(others, attempt)).bytes.toString(), 'first\nsecond\n');
});

test('a log that comes slowly ends as few pieces, and never has many', async () => {
  const { logs, attempt, clock, others, names } = setUp();
  const log = logs.open(attempt, []);
  const lines = numberedLines(100_000);
  for (let at = 0; at < lines.length; at += 100) {
    await log.write(lines.subarray(at, at + 100));
    await clock.advance(700);
    // The larger ones are compressed by threads, for which this clock is too fast.
    await until('no more than 66 pieces', () => names().length <= 66);
  }
  await log.finish();
  await log[Symbol.asyncDispose]();
  assert.deepEqual(names(), ['log.json', 'log/0000000000000000-0000000000100000']);
  assert.ok((await readNow(others, attempt)).bytes.equals(lines));
});

test('a finished log has one piece for each MiB, and a manifest that tells where the lines and times are', async () => {
  const { logs, attempt, clock, objects, names } = setUp();
  await using log = logs.open(attempt, []);
  const bytes = numberedLines(3 * MIB + 1000);
  const started = clock.now();
  for (let at = 0; at < bytes.length; at += 50_000) {
    await log.write(bytes.subarray(at, at + 50_000));
    await clock.advance(50);
  }
  await log.finish();
  assert.equal(names().length, 4);
  const stored = objects.objects.get(testKeys.logManifest(attempt.task, attempt.fence));
  const manifest = LogManifest.parse(JSON.parse(Buffer.from(stored!.bytes).toString()));
  assert.equal(manifest.sha256, createHash('sha256').update(bytes).digest('hex'));
  assert.deepEqual(
    manifest.pieces.map(({ start, end, firstLine, inline }) => [start, end, firstLine, inline !== undefined]),
    [0, 1, 2, 3].map(i => {
      const start = i * MIB;
      const end = Math.min(start + MIB, bytes.length);
      return [start, end, bytes.subarray(0, start).toString().split('\n').length - 1, i === 3];
    }),
  );
  assert.equal(manifest.pieces[0]?.firstTime, started);
  assert.ok(manifest.pieces.every((piece, i) => i === 0 || piece.firstTime >= manifest.pieces[i - 1]!.lastTime));
});

test('what is stored in small pieces stays until the one that takes their place is stored', async () => {
  for (const [which, more] of [
    ['a full block', MIB],
    ['many small ones together', 1000],
  ] as const) {
    const { logs, attempt, clock, objects, others, puts } = setUp();
    await using log = logs.open(attempt, []);
    const isFromTheStart = (key: string) => key.includes('/log/0000000000000000-') && objects.objects.size > 1;
    let hasBegun = false;
    objects.fault = (operation, key, signal) => {
      if (operation !== 'put' || !isFromTheStart(key)) return undefined;
      hasBegun = true;
      return clock.sleep(1e9, signal);
    };
    const lines = numberedLines(2 * MIB);
    let at = 0;
    const print = async (bytes: number) => {
      const before = puts();
      await log.write(lines.subarray(at, at + bytes));
      at += bytes;
      // However slow the machine compresses: what is printed next is another piece.
      await clock.advanceUntil(() => hasBegun || puts() > before);
    };
    await print(1000);
    await print(1000);
    for (let times = 0; !hasBegun && times < 100; times++) await print(more);
    assert.ok(hasBegun, which);
    const { bytes } = await readNow(others, attempt);
    assert.ok(bytes.length >= 2000 && bytes.equals(lines.subarray(0, bytes.length)), `${which}: ${bytes.length} bytes`);
  }
});

test('bytes that are not UTF-8 come back as they were', async () => {
  const { logs, attempt, others } = setUp();
  await using log = logs.open(attempt, []);
  const junk = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7919 + (i >> 8)) & 255));
  await log.write(junk);
  await log.finish();
  assert.ok((await readNow(others, attempt)).bytes.equals(junk));
});

test('a line of 100 MB is stored and read like any other', async () => {
  const objects = new MemoryObjectStore();
  const logs = testLogs(objects, systemClock);
  const attempt = newAttempt();
  await using log = logs.open(attempt, []);
  const line = Buffer.alloc(100_000_000, 'one very long line, ');
  await log.write(line);
  assert.deepEqual(await log.finish(), { bytes: line.length, lines: 0 });
  assert.ok((await readNow(testLogs(objects, systemClock), attempt)).bytes.equals(line));
});

test('writes that do not wait for each other keep their order', async () => {
  const { logs, attempt, others } = setUp();
  await using log = logs.open(attempt, []);
  const bytes = numberedLines(20 * MIB);
  const writes: Promise<void>[] = [];
  for (let at = 0; at < bytes.length; at += 3_333_333) writes.push(log.write(bytes.subarray(at, at + 3_333_333)));
  await Promise.all(writes);
  await log.finish();
  assert.ok((await readNow(others, attempt)).bytes.equals(bytes));
});

test('a slow store slows writing down, and little waits in memory', async () => {
  const { logs, attempt, clock, objects } = setUp();
  await using log = logs.open(attempt, []);
  objects.fault = operation => (operation === 'put' ? clock.sleep(200, neverAborted) : undefined);
  const chunk = numberedLines(MIB / 4);
  let written = 0;
  let most = 0;
  const write = async () => {
    for (let i = 0; i < 160; i++) {
      await log.write(chunk);
      written += chunk.length;
      const stored = [...objects.objects.keys()].filter(key => key.includes('/log/')).length * MIB;
      most = Math.max(most, written - stored);
    }
    return log.finish();
  };
  let finished = false;
  const done = write().then(summary => {
    finished = true;
    return summary;
  });
  await clock.advanceUntil(() => finished);
  assert.equal((await done).bytes, 160 * chunk.length);
  assert.ok(most <= 8 * MIB, `${most} bytes waited`);
});

test('a follower that does not read costs a bounded part of memory, and loses nothing', async () => {
  const objects = new MemoryObjectStore();
  const logs = testLogs(objects, systemClock);
  const attempt = newAttempt();
  const log = logs.open(attempt, []);
  await log.write(Buffer.from('first\n'));
  const follower = logs.read({ ...attempt, from: 0, follow: true }, neverAborted)[Symbol.asyncIterator]();
  const first = await follower.next();
  const before = (await heldMemory()).arrayBuffers;
  const chunk = numberedLines(MIB);
  const hash = createHash('sha256');
  for (let i = 0; i < 100; i++) {
    hash.update(chunk);
    await log.write(chunk);
  }
  const during = (await heldMemory()).arrayBuffers - before;
  assert.ok(during < 20 * MIB, `${during} bytes after 100 MiB were written`);
  await log.finish();
  await log[Symbol.asyncDispose]();
  const after = (await heldMemory()).arrayBuffers - before;
  assert.ok(after < 20 * MIB, `${after} bytes after the end`);
  assert.equal(first.value?.kind, 'bytes');
  const rest = createHash('sha256');
  for (let next = await follower.next(); !next.done; next = await follower.next())
    if (next.value.kind === 'bytes') rest.update(next.value.bytes);
  assert.equal(rest.digest('hex'), hash.digest('hex'));
});

test('a store that is away for 5 seconds costs nothing', async () => {
  const { logs, attempt, clock, objects, others } = setUp();
  await using log = logs.open(attempt, []);
  const back = clock.monotonic() + 5000;
  objects.fault = () => {
    if (clock.monotonic() < back) throw new CiError('unavailable', 'Cannot put as the store is away');
  };
  const lines = numberedLines(3000);
  for (let at = 0; at < lines.length; at += 50) {
    await log.write(lines.subarray(at, at + 50));
    await clock.advance(100);
  }
  assert.equal(log.failed.aborted, false);
  await clock.advance(3000);
  assert.ok((await readNow(others, attempt)).bytes.equals(lines));
  await log.finish();
  assert.ok((await readNow(others, attempt)).bytes.equals(lines));
});

test('a store that is away for longer than the limit fails the log, and says why', async () => {
  const { logs, attempt, clock, objects } = setUp(60_000);
  await using log = logs.open(attempt, []);
  objects.fault = () => {
    throw new CiError('unavailable', 'Cannot put as the store is away');
  };
  await log.write(Buffer.from('hello\n'));
  await clock.advance(50_000);
  assert.equal(log.failed.aborted, false);
  await clock.advance(15_000);
  assert.ok(log.failed.aborted);
  const isUnavailable = (error: unknown) => isCiError(error, 'unavailable');
  assert.ok(isUnavailable(log.failed.reason));
  await assert.rejects(log.write(Buffer.from('more\n')), isUnavailable);
  await assert.rejects(log.finish(), isUnavailable);
});

test('writing does not wait for ever when the log fails or is given up', async () => {
  for (const end of ['fails', 'given up']) {
    const { logs, attempt, clock, objects } = setUp(10_000);
    await using log = logs.open(attempt, []);
    objects.fault = (_operation, _key, signal) => clock.sleep(1e9, signal);
    if (end === 'fails')
      objects.fault = () => {
        throw new CiError('unavailable', 'Cannot put as the store is away');
      };
    let outcome: unknown;
    const write = log.write(numberedLines(30 * MIB)).then(
      () => assert.fail('there was no room for all'),
      error => {
        outcome = error;
      },
    );
    await clock.advance(1000);
    assert.equal(outcome, undefined);
    if (end === 'given up') await log[Symbol.asyncDispose]();
    else await clock.advanceUntil(() => outcome !== undefined);
    await write;
  }
});

test('secrets are hidden from followers, from the store and from marks, also when printed in parts', async () => {
  const { logs, attempt, clock, objects, others } = setUp();
  await using log = logs.open(attempt, ['hunter22']);
  const live = readAll(logs.read({ ...attempt, from: 0, follow: true }, neverAborted));
  log.mark('step-started', 'echo hunter22', 0);
  for (const part of ['login hunt', 'er2', '2 ok\n', 'h']) {
    await log.write(Buffer.from(part));
    await clock.advance(2000);
  }
  await log.write(Buffer.from('unter22\n'));
  log.mark('step-finished', 'passed', 0);
  await log.finish();
  for (const seen of [await live, await readNow(others, attempt)]) {
    assert.equal(seen.bytes.toString(), 'login *** ok\nh***\n');
    assert.equal(seen.marks[0]?.text, 'echo ***');
  }
  for (const { bytes } of objects.objects.values()) assert.ok(!Buffer.from(bytes).includes('hunter22'));
});

test('bytes that a mask holds back are shown soon when nothing follows them', async () => {
  const { logs, attempt, clock } = setUp();
  await using log = logs.open(attempt, ['hunter22']);
  await log.write(Buffer.from('Proceed? h'));
  assert.equal((await readNow(logs, attempt)).bytes.toString(), 'Proceed? ');
  await clock.advance(101);
  assert.equal((await readNow(logs, attempt)).bytes.toString(), 'Proceed? h');
});

test('the log of one attempt is open once', () => {
  const { logs, attempt } = setUp();
  logs.open(attempt, []);
  assert.throws(() => logs.open(attempt, []), /open already/);
});

test('nothing is left running after the end', async () => {
  const { logs, attempt, clock } = setUp();
  const log = logs.open(attempt, ['hunter22']);
  await log.write(Buffer.from('h'));
  log.mark('note', 'x');
  await log.write(Buffer.from('h'));
  await log.finish();
  await log[Symbol.asyncDispose]();
  assert.equal(clock.sleeping, 0);
});
