import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { coverPieces } from '../../shared/cover-pieces.ts';

const ranges = fc.array(
  fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 20 })).map(([start, length]) => ({ start, end: start + length })),
  { maxLength: 40 },
);

test('the pieces chosen hold every byte from the start to the first gap, each going on where the last one ended', () => {
  fc.assert(
    fc.property(ranges, fc.nat(60), (pieces, from) => {
      const chosen = coverPieces(pieces, from);
      let at = from;
      for (const piece of chosen) {
        assert.ok(piece.start <= at && at < piece.end);
        at = piece.end;
      }
      assert.ok(!pieces.some(piece => piece.start <= at && at < piece.end), 'there was more without a gap');
    }),
  );
});

test('as few pieces as possible are read', () => {
  fc.assert(
    fc.property(ranges, fc.nat(60), (pieces, from) => {
      const chosen = coverPieces(pieces, from);
      const reach = chosen.at(-1)?.end ?? from;
      assert.equal(chosen.length, fewest(pieces, from, reach));
    }),
  );
});

test('a piece that covers small ones is read in their place', () => {
  const small = [0, 10, 20].map(start => ({ start, end: start + 10 }));
  assert.deepEqual(coverPieces([...small, { start: 0, end: 30 }, { start: 30, end: 35 }], 5), [
    { start: 0, end: 30 },
    { start: 30, end: 35 },
  ]);
});

/** By trying: the fewest pieces that lead from one byte to another. */
function fewest(pieces: readonly { start: number; end: number }[], from: number, to: number): number {
  let count = 0;
  for (let reached = new Set([from]); !reached.has(to); count++) {
    const next = [...reached].flatMap(at => pieces.filter(({ start, end }) => start <= at && at < end));
    reached = new Set(next.map(piece => piece.end));
  }
  return count;
}
