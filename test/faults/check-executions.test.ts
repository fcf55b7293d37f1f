import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { checkExecutions } from './check-executions.ts';
import type { Claimed, Completed } from './check-tape.ts';
import type { Blackout } from './rig.ts';
import type { Execution } from './witness.ts';

function claim(fence: number, node = 'n1'): Claimed {
  return { task: 'a', fence, node, instance: node, attempt: 1, at: 0 };
}

/** Runs from one second to another, and says so four times a second. */
function execution(fence: number, from: number, to: number, saidEnd = true): Execution {
  const beats = Array.from({ length: (to - from) * 4 }, (_, i) => ({ at: from * 1000 + (i + 1) * 250, line: i + 1 }));
  return { task: 'a', attempt: 1, fence, pid: 1, startedAt: from * 1000, beats, saidEnd };
}

function passed(fence: number): ReadonlyMap<string, Completed> {
  return new Map([['a', { task: 'a', fence, revision: fence + 1, at: 0, outcome: 'passed', attempt: 1 }]]);
}

function check(executions: readonly Execution[], blackouts: readonly Blackout[] = [], winner = 5) {
  return checkExecutions({ executions, claims: [claim(3), claim(5, 'n2')], completed: passed(winner), blackouts });
}

suite('what tasks did is held against what they were allowed to', () => {
  test('one attempt after the other is as it should be', () => {
    const { violations, overlaps } = check([execution(3, 0, 10, false), execution(5, 10, 20)]);
    assert.deepEqual([violations, overlaps], [[], []]);
  });

  test('two attempts at once are measured, and refused beyond a second', () => {
    const brief = check([execution(3, 0, 11, false), execution(5, 10.5, 20.5)]);
    assert.deepEqual([brief.violations, brief.overlaps], [[], [500]]);
    const long = check([execution(3, 0, 14, false), execution(5, 10, 20)]);
    assert.deepEqual(long.violations, [
      { invariant: 'I6', subject: 'a', text: 'fences 3 and 5 ran at once for 4000 ms' },
    ]);
  });

  test('an attempt that is frozen does not run', () => {
    const frozen = execution(3, 0, 5, false);
    const { beats } = execution(3, 30, 31, false);
    const { violations, overlaps } = check([{ ...frozen, beats: [...frozen.beats, ...beats] }, execution(5, 10, 20)]);
    assert.deepEqual([violations, overlaps], [[], []]);
  });

  test('what ran on while its node and supervisor were both stopped is told apart', () => {
    const blackout = { nodeId: 'n1', from: 0, to: 13_000 };
    const { violations, overlaps, blackoutOverlaps } = check(
      [execution(3, 0, 13, false), execution(5, 10, 20)],
      [blackout],
    );
    assert.deepEqual([violations, overlaps, blackoutOverlaps], [[], [], [3000]]);
  });

  test('claims of two tasks may share a fence', () => {
    const other = { ...execution(5, 10, 20), task: 'b' };
    const claims = [claim(5), { ...claim(5), task: 'b' }];
    const executions = [execution(5, 10, 20), other];
    const { violations } = checkExecutions({ executions, claims, completed: passed(5), blackouts: [] });
    assert.deepEqual(violations, []);
  });

  test('whoever runs without a claim is refused', () => {
    const { violations } = check([execution(4, 0, 1, false), execution(5, 10, 20)]);
    assert.deepEqual(violations, [
      { invariant: 'I6', subject: 'a', text: 'it ran under fence 4, which is no claim of it' },
    ]);
  });

  test('a task that passed without having come to its end is refused', () => {
    const { violations } = check([execution(3, 0, 9), execution(5, 10, 20, false)]);
    assert.deepEqual(violations, [
      { invariant: 'I2', subject: 'a', text: 'passed by fence 5, under which it never came to its end' },
    ]);
  });
});
