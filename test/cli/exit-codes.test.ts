import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CiError, ERROR_STATUS, type ErrorCode } from '../../shared/errors.ts';
import { Outcome } from '../../shared/result.ts';
import { exitCodeOfError, exitCodeOfOutcome } from '../../node-runtime/cli/exit-codes.ts';

test('every outcome has its exit code', () => {
  assert.deepEqual(Object.fromEntries(Outcome.options.map(outcome => [outcome, exitCodeOfOutcome(outcome)])), {
    passed: 0,
    failed: 1,
    'timed-out': 4,
    'idle-timed-out': 4,
    cancelled: 130,
    'infrastructure-lost': 3,
    crashed: 1,
    'dead-lettered': 3,
    invalid: 2,
  });
});

test('no failure of ours looks like a task that failed', () => {
  for (const code of Object.keys(ERROR_STATUS) as ErrorCode[])
    assert.ok([2, 3].includes(exitCodeOfError(new CiError(code, ''))), code);
  assert.equal(exitCodeOfError(new Error('a bug')), 3);
});

test('what may pass by itself is 3, what will not is 2', () => {
  assert.equal(exitCodeOfError(new CiError('unavailable', '')), 3);
  assert.equal(exitCodeOfError(new CiError('unauthenticated', '')), 2);
});
