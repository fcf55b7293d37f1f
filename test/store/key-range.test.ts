import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prefixEnd, prefixRange } from '../../node-runtime/store/key-range.ts';

test('a prefix ends where its last byte is counted up, passing over those that cannot be', () => {
  const end = (...bytes: number[]) => prefixEnd(Buffer.from(bytes));
  assert.deepEqual(end(0x61, 0x2f), Buffer.from([0x61, 0x30]));
  assert.deepEqual(end(0x61, 0xff), Buffer.from([0x62]));
  assert.deepEqual(end(0x61, 0xff, 0xff), Buffer.from([0x62]));
  assert.equal(end(0xff, 0xff), undefined);
  assert.equal(end(), undefined);
});

test('computing the end of a prefix leaves the prefix as it is', () => {
  const prefix = Buffer.from('ab');
  prefixEnd(prefix);
  assert.equal(prefix.toString(), 'ab');
});

test('what comes after a key within a prefix never begins before the prefix', () => {
  assert.deepEqual(prefixRange('b/', 'a').start, Buffer.from('b/'));
  assert.deepEqual(prefixRange('b/', 'b/x').start, Buffer.from('b/x\0'));
});
