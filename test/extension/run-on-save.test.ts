import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSent, RunOnSave } from '../../extension/run-on-save.ts';
import { CiError } from '../../shared/errors.ts';

/** A clock that stands still until it is told, and a cluster that writes down what is asked of it. */
function stage(submissions: readonly (() => Promise<{ id: string } | undefined>)[] = []) {
  const told: string[] = [];
  const finished = new Set<string>();
  let sleepers: (() => void)[] = [];
  let count = 0;
  const clock = {
    now: () => 0,
    random: () => 0,
    sleep: (_ms: number, signal: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        sleepers.push(resolve);
      }),
  };
  const onSave = new RunOnSave({
    clock,
    submit: submissions.length > 0 ? () => submissions[count++]!() : async () => ({ id: `t${++count}` }),
    cancel: async task => !finished.has(task),
    happened: event => told.push('task' in event ? `${event.kind} ${event.task}` : event.kind),
  });
  const turn = () => new Promise<void>(resolve => setImmediate(resolve));
  /** The pause after the last save is over. */
  const quiet = async () => {
    await turn();
    const woken = sleepers;
    sleepers = [];
    for (const wake of woken) wake();
    await turn();
  };
  return { onSave, told, finished, quiet };
}

test('files that are saved together make one run', async () => {
  const { onSave, told, quiet } = stage();
  for (let i = 0; i < 5; i++) onSave.saved();
  await quiet();
  await quiet();
  assert.deepEqual(told, ['submitted t1']);
});

test('what is saved during the pause prolongs it', async () => {
  const { onSave, told, quiet } = stage();
  onSave.saved();
  await new Promise<void>(resolve => setImmediate(resolve));
  onSave.saved();
  await quiet();
  assert.deepEqual(told, []);
  await quiet();
  assert.deepEqual(told, ['submitted t1']);
});

test('a run that has not finished is cancelled when a newer one takes its place, and one that has is left alone', async () => {
  const { onSave, told, finished, quiet } = stage();
  onSave.saved();
  await quiet();
  onSave.saved();
  await quiet();
  finished.add('t2');
  onSave.saved();
  await quiet();
  assert.deepEqual(told, ['submitted t1', 'superseded t1', 'submitted t2', 'submitted t3']);
});

test('what is saved while a run is being submitted makes another, and the first is known and cancelled', async () => {
  const first = Promise.withResolvers<{ id: string }>();
  const { onSave, told, quiet } = stage([() => first.promise, async () => ({ id: 'second' })]);
  onSave.saved();
  await quiet();
  onSave.saved();
  await quiet();
  assert.deepEqual(told, []);
  first.resolve({ id: 'first' });
  await quiet();
  await quiet();
  assert.deepEqual(told, ['submitted first', 'superseded first', 'submitted second']);
});

test('a failure is told, and the next save tries again', async () => {
  const fail = () => Promise.reject(new CiError('unavailable', 'Cannot reach the cluster'));
  const { onSave, told, quiet } = stage([fail, async () => ({ id: 'second' })]);
  onSave.saved();
  await quiet();
  onSave.saved();
  await quiet();
  assert.deepEqual(told, ['failed', 'submitted second']);
});

test('when it is switched off nothing more is submitted', async () => {
  const { onSave, told } = stage();
  onSave.saved();
  await onSave[Symbol.asyncDispose]();
  assert.deepEqual(told, []);
});

test('a user who says no is not asked again', async () => {
  const { onSave, told, quiet } = stage([async () => undefined]);
  onSave.saved();
  await quiet();
  assert.deepEqual(told, ['refused']);
});

test('what git keeps is not sent: saving the message of a commit runs nothing', () => {
  assert.deepEqual(
    ['src/a.ts', '.gitignore', '.github/a.yaml', '.git/COMMIT_EDITMSG', 'lib/.git/config'].filter(isSent),
    ['src/a.ts', '.gitignore', '.github/a.yaml'],
  );
});
