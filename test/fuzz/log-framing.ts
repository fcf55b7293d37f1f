import assert from 'node:assert/strict';
import fc from 'fast-check';
import { logCodec } from '../../node-runtime/logs/log-codec.ts';
import { packPiece } from '../../node-runtime/logs/log-pieces.ts';
import { type CiError, isCiError } from '../../shared/errors.ts';
import type { LogBytesEvent, LogMarkEvent } from '../../shared/log.ts';
import { LogCursor } from '../../shared/log-cursor.ts';
import { logEvents } from '../../shared/log-events.ts';
import { decodePiece, LOG_BLOCK_BYTES, type LogPiece } from '../../shared/log-piece.ts';
import { logPieceName, parseLogPieceName } from '../../shared/log-piece-name.ts';
import { decodeLogFrame, encodeLogFrame } from '../../shared/socket-protocol.ts';
import { systemClock } from '../../node-runtime/system/clock.ts';
import { MemoryObjectStore } from '../support/memory-object-store.ts';
import { newAttempt, readNow, testLogs } from '../support/test-logs.ts';
import { damaged, edits } from './damaged.ts';
import { type FuzzTarget, pure } from './fuzz-target.ts';

const offsets = fc.oneof(fc.nat(100), fc.integer({ min: 0, max: 2 ** 50 }));
/** Some that compress, some that do not, some too short for it. */
const outputs = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 100 }))
    .map(([part, times]) => Uint8Array.from(Buffer.concat(Array<Uint8Array>(times).fill(part)))),
);
const kinds = fc.constantFrom('step-started', 'step-finished', 'note');

const pieces: fc.Arbitrary<LogPiece> = fc
  .record({
    start: offsets,
    bytes: outputs,
    firstLine: offsets,
    firstMark: fc.nat(),
    times: fc.array(fc.tuple(fc.nat(5000), fc.integer({ min: -1000, max: 2e12 })), { maxLength: 10 }),
    marks: fc.array(fc.record({ at: fc.nat(5000), time: fc.nat(), kind: kinds, text: fc.string({ unit: 'binary' }) }), {
      maxLength: 5,
    }),
  })
  .map(({ start, bytes, times, marks, ...rest }) => {
    const within = (at: number) => start + (bytes.length === 0 ? 0 : at % bytes.length);
    const sortedTimes = [...new Set([start, ...times.map(([at]) => within(at))])].sort((a, b) => a - b);
    return {
      ...rest,
      start,
      end: start + bytes.length,
      lines: bytes.filter(byte => byte === 10).length,
      times: sortedTimes.map((offset, index) => ({ offset, time: times[index]?.[1] ?? 0 })),
      marks: marks
        .map(({ at, text, ...mark }) => ({ ...mark, offset: within(at), text: text.toWellFormed() }))
        .sort((a, b) => a.offset - b.offset),
      bytes,
    };
  });

export const logFramingTargets: readonly FuzzTarget[] = [
  ...pure(
    'log framing: a piece is read as it was written',
    200,
    fc.asyncProperty(pieces, async piece => {
      assert.deepEqual(plain(await decodePiece(await packPiece(piece), logCodec)), plain(piece));
    }),
  ),
  ...pure(
    'log framing: a damaged piece is an error, and never other bytes',
    500,
    fc.asyncProperty(pieces, edits, async (piece, list) => {
      const whole = await packPiece(piece);
      const bytes = damaged(whole, list);
      fc.pre(!Buffer.from(whole).equals(bytes));
      await assert.rejects(decodePiece(bytes, logCodec), isUnreadable);
    }),
  ),
  ...pure(
    'log framing: what somebody has made up as a piece is an error, or one that can be read',
    500,
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 60 }), async (index, payload) => {
      for (const encoding of [0, 1, 2]) {
        const read = await decodePiece(invented(encoding, index, payload), logCodec).catch(error => {
          assert.ok(isUnreadable(error), String(error));
        });
        if (!read) continue;
        assert.equal(read.bytes.length, read.end - read.start);
        assert.ok(read.bytes.length <= LOG_BLOCK_BYTES);
        for (const event of logEvents(read, read.start, read.marks))
          assert.ok(event.kind !== 'bytes' || event.bytes.length > 0);
      }
    }),
  ),
  ...pure(
    'log framing: a stored log of which something is damaged is an error, and never other bytes',
    100,
    fc.asyncProperty(outputs, outputs, fc.boolean(), fc.nat(), edits, async (first, second, isLarge, which, list) => {
      const objects = new MemoryObjectStore();
      const written = await writeLog(objects, [first, isLarge ? FILLER : new Uint8Array(), second]);
      const names = [...objects.objects.keys()].sort();
      const name = names[which % names.length]!;
      objects.objects.set(name, { bytes: damaged(objects.objects.get(name)!.bytes, list), modified: 0 });
      const read = await readNow(testLogs(objects, systemClock), written.attempt).catch(error => {
        assert.ok(isCiError(error), String(error));
      });
      if (read) assert.ok(Buffer.from(written.bytes).equals(read.bytes), `other bytes, with ${name} damaged`);
    }),
  ),
  ...pure(
    'log framing: the name of a piece is read as it was written, and nothing else is one',
    300,
    fc.property(
      offsets,
      fc.nat(LOG_BLOCK_BYTES),
      fc.option(fc.nat(), { nil: undefined }),
      fc.string(),
      (start, size, firstMark, text) => {
        const name = { start, end: start + size, ...(firstMark !== undefined && { firstMark }) };
        assert.deepEqual(parseLogPieceName(logPieceName(name)), name);
        const read = parseLogPieceName(text);
        if (read) assert.equal(logPieceName(read), text);
      },
    ),
  ),
  ...pure(
    'log framing: any cuts of a log give the same bytes, times and marks',
    500,
    fc.property(pieces, fc.array(fc.nat(4), { maxLength: 8 }), (piece, dying) => {
      const { start, end, bytes } = piece;
      const cursor = new LogCursor(start);
      const cut = [...dying, Number.POSITIVE_INFINITY].flatMap(count => freshEvents(piece, cursor, count));
      assert.deepEqual(units(cut), units([...logEvents(piece, start, piece.marks)]));
      assert.equal(cursor.offset, end);
      assert.deepEqual(
        units(cut).flatMap(unit => (typeof unit === 'string' ? [] : unit[1])),
        [...bytes],
      );
    }),
  ),
  ...pure(
    'log framing: a frame is read as it was written, and what is too short is none',
    500,
    fc.property(fc.nat(0xffff_ffff), offsets, fc.nat(), fc.uint8Array(), (subscription, offset, time, bytes) => {
      const frame = encodeLogFrame(subscription, offset, time, bytes);
      const { bytes: read, ...head } = decodeLogFrame(frame)!;
      assert.deepEqual(head, { subscription, offset, time });
      assert.deepEqual([...read], [...bytes]);
      assert.equal(decodeLogFrame(bytes) === undefined, bytes.length < 20);
    }),
  ),
];

/** So much that there is more than one piece. */
const FILLER = new Uint8Array(LOG_BLOCK_BYTES + 70_000).fill(97);

async function writeLog(objects: MemoryObjectStore, parts: readonly Uint8Array[]) {
  const attempt = newAttempt();
  await using log = testLogs(objects, systemClock).open(attempt, []);
  for (const part of parts) {
    log.mark('note', 'next');
    await log.write(part);
  }
  await log.finish();
  return { attempt, bytes: Buffer.concat(parts) };
}

function isUnreadable(error: unknown): error is CiError {
  return isCiError(error, 'internal') || isCiError(error, 'newer-format');
}

/** A piece whose checksum is right, whatever is in it. */
function invented(encoding: number, index: Uint8Array, payload: Uint8Array): Uint8Array {
  const piece = Buffer.concat([Buffer.from('SCLP\u0001'), Buffer.from([encoding]), Buffer.alloc(8), index, payload]);
  piece.writeUInt32BE(index.length, 6);
  piece.writeUInt32BE(logCodec.checksum(piece.subarray(14), logCodec.checksum(piece.subarray(0, 10))), 10);
  return piece;
}

/** What is new to a reader whose source starts where it is, and dies after so many events. */
function freshEvents(piece: LogPiece, cursor: LogCursor, count: number): (LogBytesEvent | LogMarkEvent)[] {
  const from = cursor.resume();
  const marks = piece.marks.filter(({ offset }) => offset >= from);
  const events = [...logEvents(piece, from, marks)].slice(0, count);
  return events.flatMap(event => cursor.accept(event) ?? []);
}

/** A byte with its time each, and a text for each mark. */
function units(events: readonly (LogBytesEvent | LogMarkEvent)[]): (string | readonly [number, number, number])[] {
  return events.flatMap<string | readonly [number, number, number]>(event =>
    event.kind === 'mark'
      ? [JSON.stringify(event.mark)]
      : [...event.bytes].map((byte, at) => [event.offset + at, byte, event.time] as const),
  );
}

function plain(piece: LogPiece) {
  return { ...piece, bytes: [...piece.bytes] };
}
