import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { atEnd, offsetOfThumb, scrolledBy, showing, thumb } from '../../shared/log-model/scroll-position.ts';

test('scrolling stops at both ends', () => {
  assert.deepEqual(scrolledBy({ index: 3, part: 0 }, -10, 100, 20), { index: 0, part: 0 });
  assert.deepEqual(scrolledBy({ index: 75, part: 0.5 }, 10, 100, 20.5), { index: 79, part: 0.5 });
  assert.deepEqual(atEnd(5, 20), { index: 0, part: 0 });
});

test('a row that is gone to stands a third from the top', () => {
  assert.deepEqual(showing(50, 100, 30), { index: 40, part: 0 });
});

test('the thumb is where its offset is, and the other way round', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.integer({ min: 1, max: 5000 }), (from, seen) => {
      const size = 1_005_000;
      const { start, length } = thumb({ from, to: from + seen }, size, 0.04);
      assert.ok(start >= 0 && start + length <= 1.0001);
      const back = offsetOfThumb(start, length, size - seen);
      assert.ok(Math.abs(back - from) <= 2, `${from} ${back}`);
    }),
  );
});

test('a log that is seen as a whole has no thumb', () => {
  assert.deepEqual(thumb({ from: 0, to: 10 }, 10, 0.04), { start: 0, length: 1 });
});
