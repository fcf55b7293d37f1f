import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFindings, sumUp } from '../../node-runtime/cli/format-findings.ts';
import { makeStyle } from '../../node-runtime/cli/style.ts';
import { textWidth } from '../../node-runtime/cli/text-width.ts';
import type { Finding } from '../../node-runtime/system/finding.ts';

const plain = makeStyle(false);
const FINDINGS: readonly Finding[] = [
  { level: 'ok', subject: 'version', what: '3.4.23' },
  {
    level: 'warning',
    subject: 'compaction',
    what: 'No sign of it',
    advice: 'Start etcd with --auto-compaction-retention=5m',
  },
  { level: 'problem', subject: 'signed write', what: 'It was answered with status 403' },
];

test('findings stand in columns', () => {
  assert.deepEqual(formatFindings(FINDINGS, undefined, plain), [
    '  ✓ version       3.4.23',
    '  ! compaction    No sign of it',
    '                  Start etcd with --auto-compaction-retention=5m',
    '  ✗ signed write  It was answered with status 403',
  ]);
});

test('what is said is broken to the width of the terminal', () => {
  assert.deepEqual(formatFindings(FINDINGS, 50, plain), [
    '  ✓ version       3.4.23',
    '  ! compaction    No sign of it',
    '                  Start etcd with',
    '                  --auto-compaction-retention=5m',
    '  ✗ signed write  It was answered with status 403',
  ]);
});

test('on a narrow terminal, what does not fit beside its subject stands below it', () => {
  assert.deepEqual(formatFindings(FINDINGS, 36, plain), [
    '  ✓ version  3.4.23',
    '  ! compaction  No sign of it',
    '    Start etcd with',
    '    --auto-compaction-retention=5m',
    '  ✗ signed write',
    '    It was answered with status 403',
  ]);
});

test('colours take no room', () => {
  const lines = (colours: boolean) => formatFindings(FINDINGS, 50, makeStyle(colours)).map(textWidth);
  assert.deepEqual(lines(true), lines(false));
});

test('the end is one line', () => {
  const [ok, warning, problem] = FINDINGS as readonly [Finding, Finding, Finding];
  assert.equal(sumUp([ok], plain), 'All is well');
  assert.equal(sumUp([ok, warning], plain), '1 warning');
  assert.equal(sumUp([problem, warning, problem, ok], plain), '2 problems, 1 warning');
});
