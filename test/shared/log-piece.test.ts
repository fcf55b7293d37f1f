import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compress, logCodec } from '../../node-runtime/logs/log-codec.ts';
import { packPiece } from '../../node-runtime/logs/log-pieces.ts';
import { isCiError } from '../../shared/errors.ts';
import { decodePiece, encodePiece, type LogPiece, openPiece } from '../../shared/log-piece.ts';
import { logPieceName, logPieceNamesFrom, parseLogPieceName } from '../../shared/log-piece-name.ts';

const offsets = fc.integer({ min: 0, max: 2 ** 50 });
const pieces: fc.Arbitrary<LogPiece> = fc
  .record({
    start: offsets,
    bytes: fc.uint8Array({ maxLength: 2000 }),
    firstLine: offsets,
    firstMark: fc.nat(),
    times: fc.array(fc.tuple(fc.nat(1999), fc.integer({ min: 0, max: 2e12 })), { maxLength: 20 }),
    marks: fc.array(fc.record({ offset: offsets, time: fc.nat(), text: fc.string({ unit: 'grapheme' }) })),
  })
  .map(({ start, bytes, times, marks, ...rest }) => ({
    ...rest,
    start,
    end: start + bytes.length,
    lines: bytes.filter(byte => byte === 10).length,
    times: times.sort(([a], [b]) => a - b).map(([at, time]) => ({ offset: start + at, time })),
    marks: marks.map(mark => ({ ...mark, kind: 'note' as const })),
    bytes,
  }));

test('a piece is read as it was written, whatever its bytes', async () => {
  await fc.assert(
    fc.asyncProperty(pieces, async piece => {
      const read = await decodePiece(await packPiece(piece), logCodec);
      assert.deepEqual({ ...read, bytes: Buffer.from(read.bytes) }, { ...piece, bytes: Buffer.from(piece.bytes) });
    }),
  );
});

test('the index of a piece is read without its bytes', async () => {
  await fc.assert(
    fc.asyncProperty(pieces, async ({ bytes, ...index }) => {
      const { encoding, payload } = await compress(bytes);
      assert.deepEqual(openPiece(encodePiece(index, encoding, payload, logCodec), logCodec).index, index);
    }),
  );
});

test('a piece of a newer format is refused by name', async () => {
  const stored = await packPiece(samplePiece());
  stored[4] = 2;
  await assert.rejects(decodePiece(stored, logCodec), error => isCiError(error, 'newer-format'));
});

test('bytes that are no piece, or cut off, are refused as an error that can be handled', async () => {
  const stored = await packPiece(samplePiece());
  for (const junk of [Buffer.alloc(0), Buffer.from('hello, world'), stored.subarray(0, 9), stored.subarray(0, 14)])
    await assert.rejects(decodePiece(junk, logCodec), error => isCiError(error, 'internal'));
});

test('a piece that would unpack to more than it says is not unpacked', async () => {
  const bomb = await compress(Buffer.alloc(10_000_000));
  const { bytes: _, ...index } = samplePiece();
  const stored = encodePiece(index, 'zstd', bomb.payload, logCodec);
  await assert.rejects(decodePiece(stored, logCodec), error => isCiError(error, 'internal'));
});

test('a flipped bit in the compressed bytes is noticed', async () => {
  const text = Buffer.from(Array.from({ length: 3000 }, (_, line) => `line ${line}\n`).join(''));
  const stored = await packPiece({ ...samplePiece(), end: text.length, bytes: text });
  stored[stored.length - 100]! ^= 16;
  await assert.rejects(decodePiece(stored, logCodec), error => isCiError(error, 'internal'));
});

test('a flipped bit is noticed wherever it is, also where nothing is compressed', async () => {
  const stored = await packPiece(samplePiece());
  for (let bit = 0; bit < stored.length * 8; bit++) {
    const flipped = Uint8Array.from(stored);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    await assert.rejects(decodePiece(flipped, logCodec), isCiError);
  }
});

test('marks that are none are an error that can be handled', async () => {
  const marks = [{ offset: 0, time: 5, kind: 'note', text: 7 }] as unknown as LogPiece['marks'];
  const stored = await packPiece({ ...samplePiece(), marks });
  await assert.rejects(decodePiece(stored, logCodec), error => isCiError(error, 'internal'));
});

test('names of pieces sort by where these start, and tell what they hold', () => {
  assert.equal(logPieceName({ start: 0, end: 1_048_576 }), '0000000000000000-0000000001048576');
  assert.equal(logPieceName({ start: 7, end: 7, firstMark: 3 }), '0000000000000007-0000000000000007.3');
  fc.assert(
    fc.property(offsets, offsets, offsets, (a, b, length) => {
      const name = logPieceName({ start: a, end: a + length });
      assert.deepEqual(parseLogPieceName(name), { start: a, end: a + length });
      assert.equal(name > logPieceNamesFrom(b), a >= b);
    }),
  );
  assert.equal(parseLogPieceName('something-else'), undefined);
});

function samplePiece(): LogPiece {
  const bytes = Buffer.from('hello\n');
  const times = [{ offset: 0, time: 5 }];
  return { start: 0, end: 6, firstLine: 0, lines: 1, firstMark: 0, times, marks: [], bytes };
}
