import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { checkTape, type TapeChecks } from './check-tape.ts';
import { DoctoredTape, ROOT } from './doctored-tape.ts';

/** What is found wrong with a history. */
function verdicts(write: (tape: DoctoredTape) => void, checks: Partial<TapeChecks> = {}): string[] {
  const tape = new DoctoredTape();
  write(tape);
  const { violations } = checkTape(tape.events, { root: ROOT, acknowledged: [], lockGraceMs: () => 30_000, ...checks });
  return violations.map(({ invariant, text }) => `${invariant}: ${text}`);
}

/** A life without a fault. */
function well(tape: DoctoredTape, task = 'a'): void {
  tape.submit(task);
  tape.complete(task, tape.claim(task));
}

suite('a history that keeps every promise is found to', () => {
  test('a task that passes at once, is drained, lost, cancelled, given up', () => {
    const found = verdicts(
      tape => {
        tape.commit({ put: 'members/n1', value: {}, lease: '77' });
        well(tape, 'a');
        tape.submit('drained');
        tape.claim('drained');
        tape.release('drained');
        tape.complete('drained', tape.claim('drained', 2, { node: 'n2', lease: '78', drained: 1 }));
        tape.submit('lost');
        tape.claim('lost');
        tape.commit({ delete: 'tasks/lost.lock' }, { delete: 'members/n1' });
        tape.complete('lost', tape.claim('lost', 2, { node: 'n2', lease: '78' }));
        tape.submit('cancelled');
        tape.complete('cancelled', 0, 'cancelled');
        tape.submit('stopped');
        const fence = tape.claim('stopped', 1, { lease: '78' });
        tape.submit('stopped', { cancelled: { by: 'me' } });
        tape.complete('stopped', fence, 'cancelled');
        tape.submit('unlucky', { attempts: { lost: 1 } });
        tape.claim('unlucky', 1, { lease: '78' });
        tape.expire('unlucky');
        tape.complete('unlucky', 0, 'infrastructure-lost');
        tape.commit({ delete: 'completed/a' });
      },
      {
        acknowledged: ['a', 'drained', 'lost', 'cancelled', 'stopped', 'unlucky'],
        cancelled: ['cancelled', 'stopped'],
      },
    );
    assert.deepEqual(found, []);
  });

  test('it tells who claimed when, and how each claim ended', () => {
    const tape = new DoctoredTape();
    tape.submit('a');
    tape.claim('a');
    tape.release('a');
    tape.complete('a', tape.claim('a', 2, { node: 'n2', drained: 1 }));
    const { claims, completed } = checkTape(tape.events, { root: ROOT, acknowledged: ['a'], lockGraceMs: () => 0 });
    assert.deepEqual(
      claims.map(({ fence, node, at, ended }) => [fence, node, at, ended?.how, ended?.at]),
      [
        [3, 'n1', 3000, 'drained', 4000],
        [5, 'n2', 5000, 'completed', 6000],
      ],
    );
    assert.equal(completed.get('a')?.fence, 5);
  });
});

suite('a history that breaks a promise is refused for that', () => {
  const cases: readonly (readonly [string, (tape: DoctoredTape) => void, readonly string[], Partial<TapeChecks>?])[] = [
    [
      'a result is written over',
      tape => {
        well(tape);
        tape.commit({ put: 'completed/a', value: { fence: 3, outcome: 'failed', attempt: 1 } });
      },
      [
        'I1: completed at 4 and again at 5',
        'I2: completed at 5 by fence 3, while nobody held it',
        'I2: completed at 5 although it was not in the queue',
      ],
    ],
    [
      'a result is deleted and written anew',
      tape => {
        well(tape);
        tape.commit({ delete: 'completed/a' });
        tape.commit({ put: 'completed/a', value: { fence: 0, outcome: 'cancelled', attempt: 1 } });
      },
      ['I1: completed at 4 and again at 6', 'I2: completed at 6 although it was not in the queue'],
    ],
    [
      'a task is completed by one whose lock has expired',
      tape => {
        tape.submit('a');
        const fence = tape.claim('a');
        tape.expire('a');
        tape.complete('a', fence);
      },
      ['I2: completed at 5 by fence 3, while nobody held it'],
    ],
    [
      'a task is completed by one while another holds it',
      tape => {
        tape.submit('a');
        const fence = tape.claim('a');
        tape.expire('a');
        tape.claim('a', 2, { node: 'n2' });
        tape.complete('a', fence);
      },
      ['I2: completed at 6 by fence 3, while fence 5 held it'],
    ],
    [
      'a task is given up while somebody holds it',
      tape => {
        tape.submit('a');
        tape.claim('a');
        tape.complete('a', 0, 'infrastructure-lost');
        tape.expire('a');
      },
      ['I2: ended by nobody at 4, while fence 3 held it', 'I5: completed at 4, but its lock record stayed'],
    ],
    [
      'a task passes without a holder',
      tape => {
        tape.submit('a');
        tape.complete('a', 0, 'passed');
      },
      ['I2: passed at 3, but nobody held it'],
    ],
    [
      'a task is claimed while another holds it',
      tape => {
        tape.submit('a');
        tape.claim('a');
        tape.complete('a', tape.claim('a', 2, { node: 'n2' }));
      },
      ['I2: claimed at 4 while fence 3 held it'],
    ],
    [
      'a task disappears',
      tape => {
        tape.submit('a');
        tape.commit({ delete: 'tasks/a' });
      },
      ['I3: deleted at 3 without a result'],
    ],
    [
      'an acknowledged submission is nowhere',
      tape => well(tape),
      ['I3: its submission was acknowledged, but it was never written'],
      { acknowledged: ['a', 'b'] },
    ],
    [
      'a claim is not counted',
      tape => {
        tape.submit('a');
        const fence = tape.commit({ put: 'tasks/a.lock', value: { node: 'n1', instance: 'n1', attempt: 1 } });
        tape.complete('a', fence);
      },
      ['I4: claim 1 at 3 was counted as none, its lock says 1'],
    ],
    [
      'a claim is counted twice',
      tape => {
        tape.submit('a');
        tape.complete('a', tape.claim('a', 2));
      },
      ['I4: claim 1 at 3 was counted as 2, its lock says 2'],
    ],
    [
      'a claim is counted that there was not',
      tape => {
        tape.submit('a');
        const fence = tape.claim('a');
        tape.commit({ put: 'attempts/a', value: { claims: 2, crashed: 0, lost: 0, drained: 0 } });
        tape.complete('a', fence);
      },
      ['I4: 1 claims were counted at 4 without one'],
    ],
    [
      'an attempt that was drained is charged',
      tape => {
        tape.submit('a');
        tape.claim('a');
        tape.release('a', 1, 1);
        tape.complete('a', tape.claim('a', 2, { drained: 1 }));
      },
      ['I4: drained at 4, and charged to a budget'],
    ],
    [
      'attempts are forgotten',
      tape => {
        tape.submit('a');
        tape.claim('a');
        tape.commit({ delete: 'tasks/a.lock' }, { delete: 'attempts/a' });
        tape.complete('a', tape.claim('a'));
      },
      ['I4: its attempts were forgotten at 4'],
    ],
    [
      'a task is started more often than it may be',
      tape => {
        tape.submit('a', { attempts: { crashed: 1, lost: 1 } });
        for (const attempt of [1, 2]) {
          tape.claim('a', attempt);
          tape.expire('a');
        }
        tape.complete('a', tape.claim('a', 3));
      },
      [
        'I4: claimed at 5 with 0 crashed and 1 lost attempts behind it',
        'I4: claimed 2 times by 5, drained 0 times',
        'I4: claimed at 7 with 0 crashed and 2 lost attempts behind it',
        'I4: claimed 3 times by 7, drained 0 times',
      ],
    ],
    [
      'a task is lost more often than it may be, and has crashed less often',
      tape => {
        tape.submit('a', { attempts: { lost: 1 } });
        tape.claim('a');
        tape.expire('a');
        tape.complete('a', tape.claim('a', 2));
      },
      ['I4: claimed at 5 with 0 crashed and 1 lost attempts behind it'],
    ],
    [
      'a task crashes more often than it may, and was lost less often',
      tape => {
        tape.submit('a', { attempts: { crashed: 1 } });
        tape.claim('a');
        const attempts = { claims: 1, crashed: 1, lost: 0, drained: 0 };
        tape.commit({ delete: 'tasks/a.lock' }, { put: 'attempts/a', value: attempts });
        tape.complete('a', tape.claim('a', 2));
      },
      ['I4: claimed at 5 with 1 crashed and 0 lost attempts behind it'],
    ],
    [
      'a completed task is back in the queue',
      tape => {
        well(tape);
        tape.submit('a');
      },
      ['I5: put into the queue at 5 after it was completed'],
    ],
    [
      'a completed task is claimed',
      tape => {
        well(tape);
        tape.claim('a');
        tape.expire('a');
      },
      ['I5: claimed at 5 after it was completed'],
    ],
    [
      'a completed task stays in the queue',
      tape => {
        tape.submit('a');
        const fence = tape.claim('a');
        const value = { fence, outcome: 'passed', attempt: 1 };
        tape.commit({ put: 'completed/a', value }, { delete: 'tasks/a.lock' }, { delete: 'attempts/a' });
      },
      ['I5: completed at 4, but its tasks record stayed'],
    ],
    [
      'a task that nobody has submitted is claimed',
      tape => {
        tape.claim('a');
        tape.commit({ delete: 'tasks/a.lock' });
      },
      ['I5: claimed at 2 although it was not in the queue'],
    ],
    [
      'a task is changed into another one',
      tape => {
        tape.submit('a');
        tape.submit('a', { steps: [] });
        tape.complete('a', tape.claim('a'));
      },
      ['I5: changed at 3, but not to be cancelled'],
    ],
    [
      'a cancelled task is claimed',
      tape => {
        tape.submit('a');
        tape.submit('a', { cancelled: {} });
        tape.complete('a', tape.claim('a'), 'cancelled');
      },
      ['I10: claimed at 4 although it was cancelled at 3'],
    ],
    [
      'an acknowledged cancellation is nowhere',
      tape => {
        tape.submit('a');
        tape.claim('a');
        tape.expire('a');
      },
      [
        'I10: its cancellation was acknowledged, but never written',
        'I12: it was still in the queue when all should have been done',
      ],
      { cancelled: ['a'] },
    ],
    [
      'a lock is left behind',
      tape => {
        well(tape, 'b');
        tape.submit('a');
        tape.claim('a');
      },
      ['I12: it was still in the queue when all should have been done', 'I11: its lock 6 was left behind'],
    ],
    [
      'a lock outlives its node',
      tape => {
        tape.commit({ put: 'members/n1', value: {}, lease: '77' });
        tape.submit('a');
        tape.claim('a');
        tape.commit({ delete: 'members/n1' });
        for (let i = 0; i < 40; i++) tape.commit({ put: 'elsewhere', value: {} });
        tape.expire('a');
        tape.complete('a', tape.claim('a', 2));
      },
      ['I11: its locks outlived its member record by 41000 ms'],
    ],
    [
      'an idle cluster writes',
      tape => {
        well(tape);
        tape.commit({ put: 'members/n1', value: {} });
      },
      ['I12: written at 5 although there was nothing to do since 4'],
      { quietFrom: 4 },
    ],
    ['the tape is torn', tape => well(tape), ['tape: it is torn: why not'], { torn: 'why not' }],
  ];
  for (const [what, write, expected, checks] of cases)
    test(what, () => assert.deepEqual(verdicts(write, checks), expected));
});
