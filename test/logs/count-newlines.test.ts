import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countNewlines } from '../../node-runtime/logs/count-newlines.ts';

test('newlines are counted wherever they are, at whatever place in memory the bytes begin and end', () => {
  const memory = Uint8Array.from(
    { length: 4000 },
    (_, at) => [10, 0, 138, 10, 11, 255, 9, 10, 10, 128, 26][(at * at) % 11]!,
  );
  for (let start = 0; start < 9; start++)
    for (const end of [start, start + 1, start + 3, start + 6, 2048 + start, 4000]) {
      const bytes = memory.subarray(start, end);
      assert.equal(countNewlines(bytes), bytes.filter(byte => byte === 10).length, `${start} to ${end}`);
    }
});

test('a megabyte of nothing but newlines is counted', () => {
  assert.equal(countNewlines(new Uint8Array(1_048_576).fill(10)), 1_048_576);
});
