import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { checkLosses } from './check-run.ts';
import { checkLog, findCanaries, type LogLoss } from './check-stored.ts';
import type { Execution } from './witness.ts';

const expected = 'one\ntwo\nthree\nfour\n';
const execution: Execution = {
  task: 'a',
  attempt: 1,
  fence: 3,
  pid: 1,
  startedAt: 0,
  beats: [1, 2, 3, 4].map(line => ({ at: line * 4000, line })),
  saidEnd: true,
};

function check(log: string, isWhole: boolean, printed = expected, isS3Well = true, complains = false) {
  const losses: LogLoss[] = [];
  const told = { execution, log, expected: printed, isWhole, complains, couldStore: () => isS3Well };
  const texts = checkLog(told, losses).map(({ text }) => text);
  return { texts, losses };
}

suite('a stored log is held against what was printed', () => {
  test('of the attempt that completed its task nothing may be missing', () => {
    assert.deepEqual(check(expected, true).texts, []);
    assert.deepEqual(check('one\ntwo\nthree\n', true).texts, ['its log is 14 characters, not the 19 that it printed']);
    assert.deepEqual(check('one\ntwo\nthree\nFOUR\n', true).texts, [
      'its log is 19 characters, not the 19 that it printed',
    ]);
  });

  test('of an attempt that was lost the last seconds may be missing, and they are measured', () => {
    const { texts, losses } = check('one\ntwo\n', false);
    assert.deepEqual(texts, []);
    assert.deepEqual(losses, [{ task: 'a', fence: 3, seconds: 4, bytes: 11, isExcused: false }]);
  });

  test('more than both five seconds and 256 KiB is too much, unless S3 would not take it', () => {
    const filling = 'x'.repeat(100_000);
    const printed = expected.replaceAll('\n', `${filling}\n`);
    assert.deepEqual(check('', false, printed).texts, ['its log lacks its last 12.0 s, 400019 bytes']);
    assert.deepEqual(check('', false, printed, false).texts, []);
  });

  test('a command that fails may say so after what was printed, and not instead', () => {
    const complaint = 'seq: write error: No space left on device\n';
    assert.deepEqual(check(expected + complaint, false, expected, true, true).texts, []);
    assert.match(check(`one\n${complaint}`, false, expected, true, true).texts.join(), /^its log is no beginning/);
  });

  test('also when the node of a full disk is lost before the command has its verdict', () => {
    const complaint = 'seq: write error: No space left on device\n';
    assert.deepEqual(check(expected + complaint, false).texts, []);
    assert.match(check(`one\n${complaint}`, false).texts.join(), /^its log is no beginning/);
  });

  test('what it did not print, or in another order, is refused', () => {
    const text = (has: string, at: number) =>
      `its log is no beginning of what it printed: it has ${JSON.stringify(has)} at ${at} of ${expected.length}`;
    assert.deepEqual(check('two\n', false).texts, [text('two\n', 0)]);
    assert.deepEqual(check(`${expected}five\n`, false).texts, [text('five\n', expected.length)]);
  });
});

suite('a canary is found', () => {
  const canaries = new Map([['it', 'canary-0123456789abcdef']]);
  const text = 'before canary-0123456789abcdef after';
  const piece = Buffer.concat([Buffer.from('SCLP header'), zstdCompressSync(text)]);
  for (const [how, bytes] of [
    ['as it is', Buffer.from(text)],
    ['in base64', Buffer.from(`{"inline":"${Buffer.from(text).toString('base64')}"}`)],
    ['compressed, after a header', piece],
    ['compressed and in base64', Buffer.from(`{"inline":"${piece.toString('base64')}"}`)],
  ] as const)
    test(how, () => assert.deepEqual(findCanaries(bytes, canaries), ['it']));

  test('and nothing else is', () => {
    for (const bytes of [Buffer.from('canary-0123'), zstdCompressSync('nothing'), Buffer.from('KLUv/QQ=')])
      assert.deepEqual(findCanaries(bytes, canaries), []);
  });
});

test('a node that was killed may take 5 s of a log with it, however few bytes that are; one that was cut off more', () => {
  const loss = { task: 'a', fence: 3, seconds: 5.5, bytes: 40, isExcused: false };
  const texts = (losses: readonly LogLoss[], held: readonly string[]) =>
    checkLosses(losses, new Set(held)).map(({ text }) => text);
  assert.deepEqual(texts([loss], ['a/3']), ['its node was killed, and its log lacks its last 5.5 s, 40 bytes']);
  assert.deepEqual(
    texts(
      [
        { ...loss, seconds: 4.9 },
        { ...loss, isExcused: true },
      ],
      ['a/3'],
    ),
    [],
  );
  assert.deepEqual(texts([loss], []), []);
});
