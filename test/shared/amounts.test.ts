import assert from 'node:assert/strict';
import { test } from 'node:test';
import { count, formatAge, formatBytes } from '../../shared/amounts.ts';
import { formatTenths, formatWhole } from '../../shared/number-language.ts';

test('an age is told in the unit that people would choose', () => {
  const now = Date.UTC(2026, 10, 24, 12);
  const ages = [0, 42_000, 185_000, 5 * 3_600_000, 3 * 86_400_000].map(age => formatAge(now - age, now));
  assert.deepEqual(ages, ['just now', '42 s ago', '3 min ago', '5 h ago', '2026-11-21']);
});

test('a clock that is behind makes nothing happen in the future', () => {
  assert.equal(formatAge(2000, 1000), 'just now');
});

test('bytes are told with two digits', () => {
  assert.deepEqual([0, 1, 999, 1400, 52_300_000, 999_700, 3e12].map(formatBytes), [
    '0 bytes',
    '1 byte',
    '999 bytes',
    '1.4 KB',
    '52 MB',
    '1.0 MB',
    '3.0 TB',
  ]);
});

test('amounts agree with their word', () => {
  assert.deepEqual(
    [count(1, 'file'), count(12_345, 'file'), count(0, 'entry', 'entries')],
    ['1 file', '12,345 files', '0 entries'],
  );
});

test('numbers are written as Intl would write them in English', () => {
  for (const value of [0, 9, 999, 1000, 65_536, 123_456, 1_000_000, 9_007_199_254_740_991])
    assert.equal(formatWhole(value), value.toLocaleString('en-US'));
  const tenths = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
  for (const value of [0, 1.04, 1.25, 9.94, 59.96])
    assert.equal(formatTenths(value), value.toLocaleString('en-US', tenths));
});
