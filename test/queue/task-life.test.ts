import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cancelMessage, cancelTask } from '../../node-runtime/queue/cancel.ts';
import { claimTask } from '../../node-runtime/queue/claim.ts';
import { completeTask } from '../../node-runtime/queue/complete.ts';
import { deadLetterTask } from '../../node-runtime/queue/dead-letter.ts';
import { readTaskState } from '../../node-runtime/queue/records.ts';
import { releaseTask } from '../../node-runtime/queue/release.ts';
import { History } from '../../node-runtime/queue/history.ts';
import { retainOnce } from '../../node-runtime/queue/retention.ts';
import { submitTask } from '../../node-runtime/queue/submit.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { isCiError } from '../../shared/errors.ts';
import { newTaskId, type TaskId } from '../../shared/ids.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testCluster } from '../support/test-cluster.ts';
import { claim, claimant, passed, submit, taskSpec } from '../support/test-tasks.ts';

const signal = neverAborted;

test('a submitted task lies in tasks/ as it was submitted, unknown fields included', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster, { name: 'build', future: { field: 1 } } as never);
  const { task } = await readTaskState(cluster, id, signal);
  assert.equal(task?.value.name, 'build');
  assert.deepEqual(task?.value.future, { field: 1 });
  assert.equal(task?.value.submitter, 'tester');
});

test('submitting the same task again under its id changes nothing, also after it has finished', async () => {
  await using cluster = await testCluster();
  const id = newTaskId(5, Date.now(), Math.random);
  await submitTask(cluster, new History(cluster), id, taskSpec(), 'tester', signal);
  await submitTask(cluster, new History(cluster), id, taskSpec(), 'tester', signal);
  const held = await claim(cluster, id, await claimant(cluster));
  await completeTask(cluster, held, passed(held), signal);
  await submitTask(cluster, new History(cluster), id, taskSpec(), 'tester', signal);
  const { task, completed } = await readTaskState(cluster, id, signal);
  assert.equal(task, undefined);
  assert.equal(completed?.value.outcome, 'passed');
});

test('another task under the id of one that exists is refused', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster);
  await assert.rejects(
    submitTask(cluster, new History(cluster), id, taskSpec({ name: 'other' }), 'tester', signal),
    error => isCiError(error, 'conflict'),
  );
});

for (const [what, spec, code, message] of [
  [
    'a task.json of more than 64 KiB',
    taskSpec({ env: { BIG: 'x'.repeat(70_000) } }),
    'too-large',
    /too large: 70\d{3} bytes, at most 65536/,
  ],
  ['a task without steps', taskSpec({ steps: [] }), 'invalid', /"steps" is wrong/],
  ['a step without a command', taskSpec({ steps: [{ run: '' }] }), 'invalid', /"steps.0.run" is wrong/],
  ['a wrong type', { ...taskSpec(), timeout: { minutes: 3 } }, 'invalid', /"timeout" is wrong/],
  [
    'a working directory outside the workspace',
    taskSpec({ workingDirectory: '../..' }),
    'invalid',
    /"workingDirectory" is wrong: .*inside the workspace/,
  ],
  ['an absolute artifact path', taskSpec({ artifacts: ['/etc/passwd'] }), 'invalid', /"artifacts.0" is wrong/],
  ['a variable that only the node may set', taskSpec({ env: { SIMPLE_CI_FENCE: '1' } }), 'invalid', /"env/],
  [
    'a hostile git address',
    taskSpec({ source: { type: 'git', url: '--upload-pack=touch /tmp/pwn', ref: 'main' } }),
    'invalid',
    /"source.url" is wrong/,
  ],
  [
    'a git ref that is an option',
    taskSpec({ source: { type: 'git', url: 'https://example.org/a.git', ref: '--upload-pack=x' } }),
    'invalid',
    /"source.ref" is wrong/,
  ],
] as const) {
  test(`${what} is refused with what is wrong, and nothing is stored`, async () => {
    await using cluster = await testCluster();
    const id = newTaskId(5, Date.now(), Math.random);
    await assert.rejects(submitTask(cluster, new History(cluster), id, spec, 'tester', signal), error => {
      assert.ok(isCiError(error, code), String(error));
      assert.match(error.message, message);
      return true;
    });
    assert.equal((await readTaskState(cluster, id, signal)).task, undefined);
  });
}

test('the same task submitted again when it has left the store is known from the history, and not run again', async () => {
  const clock = new FakeClock();
  await using cluster = await testCluster({ clock });
  const history = new History(cluster);
  const id = await submit(cluster);
  const held = await claim(cluster, id, await claimant(cluster));
  await completeTask(cluster, held, passed(held), signal);
  await clock.advance(3_600_000);
  // It leaves just when the submission has looked at the first of the two places where it can be.
  let moved: number | undefined;
  const looked = async <T>(found: Promise<T>) => {
    const value = await found;
    if (moved === undefined) {
      moved = 0;
      moved = await retainOnce(cluster, history, { keepCount: 0 }, signal);
    }
    return value;
  };
  const commit = cluster.store.commit.bind(cluster.store);
  cluster.store.commit = (...args) => looked(commit(...args));
  const watched = { get: (...args: Parameters<History['get']>) => looked(history.get(...args)) };
  await submitTask(cluster, watched, id, taskSpec(), 'tester', signal);
  assert.equal(moved, 1);
  await submitTask(cluster, history, id, taskSpec(), 'tester', signal);
  await assert.rejects(submitTask(cluster, history, id, taskSpec({ name: 'other' }), 'tester', signal), error =>
    isCiError(error, 'conflict'),
  );
  const { task, completed } = await readTaskState(cluster, id, signal);
  assert.deepEqual([task, completed], [undefined, undefined]);
});

test('submitting a task again finds the record to which a newer release has added something', async () => {
  await using cluster = await testCluster();
  const history = new History(cluster);
  const id = newTaskId(5, Date.now(), Math.random);
  await submitTask(cluster, history, id, taskSpec(), 'tester', signal);
  const { task } = await readTaskState(cluster, id, signal);
  const put = { put: cluster.keys.task(id), value: JSON.stringify({ ...task!.value, since: 'the next release' }) };
  await cluster.store.commit({ when: [], then: [put] }, { signal, timeoutMs: 3000 });
  await submitTask(cluster, history, id, taskSpec(), 'tester', signal);
  await assert.rejects(submitTask(cluster, history, id, taskSpec({ timeout: '1m' }), 'tester', signal), /another task/);
});

test('a submission under an id that is fresh asks the store alone', async () => {
  await using cluster = await testCluster();
  const asked: string[] = [];
  const history = { get: async (id: string) => void asked.push(id) };
  const submitAt = async (ms: number) => {
    const id = newTaskId(5, Date.now() + ms, Math.random);
    await submitTask(cluster, history, id, taskSpec(), 'tester', signal);
    return id;
  };
  for (const ms of [0, -240_000, 240_000]) await submitAt(ms);
  assert.deepEqual(asked, []);
  const others = [await submitAt(-360_000), await submitAt(360_000)];
  assert.deepEqual(asked, others);
});

test('an id made more than a day ago is refused: its completion may have been forgotten', async () => {
  await using cluster = await testCluster();
  const old = newTaskId(5, Date.now() - 25 * 3_600_000, Math.random);
  await assert.rejects(
    submitTask(cluster, new History(cluster), old, taskSpec(), 'tester', signal),
    /more than 24 h before/,
  );
});

test('of many claimants of one task exactly one wins, and its fence is the revision of its lock', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster);
  const { task } = await readTaskState(cluster, id, signal);
  const everyone = await Promise.all(Array.from({ length: 20 }, (_, i) => claimant(cluster, `n${i}`)));
  const results = await Promise.all(everyone.map(who => claimTask(cluster, id, task!, who, signal)));
  const won = results.filter(result => result.kind === 'claimed');
  assert.equal(won.length, 1);
  const { lock, attempts } = await readTaskState(cluster, id, signal);
  assert.equal(won[0]?.claim.fence, lock?.revision);
  assert.equal(attempts?.value.claims, 1);
});

test('a finished task moves from tasks/ to completed/ in one revision', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster);
  const held = await claim(cluster, id, await claimant(cluster));
  assert.equal(await completeTask(cluster, held, passed(held), signal), 'completed');
  const { records } = await cluster.store.range({ prefix: cluster.keys.root, limit: 100 }, { signal, timeoutMs: 1000 });
  assert.deepEqual(
    records.map(record => record.key),
    [cluster.keys.cluster, cluster.keys.completed(id)],
  );
});

test('a completion that is repeated recognises itself', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster);
  const held = await claim(cluster, id, await claimant(cluster));
  await completeTask(cluster, held, passed(held), signal);
  assert.equal(await completeTask(cluster, held, passed(held), signal), 'completed');
});

test('a node whose lease has ended can complete nothing, before and after the next one has', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster);
  const dead = await claimant(cluster, 'dead');
  const zombie = await claim(cluster, id, dead);
  await cluster.store.revokeLease(dead.lease, { signal, timeoutMs: 1000 });
  assert.equal(await completeTask(cluster, zombie, passed(zombie), signal), 'fenced');
  const held = await claim(cluster, id, await claimant(cluster, 'next'));
  assert.equal(await completeTask(cluster, zombie, passed(zombie), signal), 'fenced');
  assert.equal(await completeTask(cluster, held, passed(held), signal), 'completed');
  assert.equal(await completeTask(cluster, zombie, passed(zombie), signal), 'fenced');
  const { completed } = await readTaskState(cluster, id, signal);
  assert.equal(completed?.value.node, 'next');
  assert.deepEqual(
    completed?.value.past.map(past => [past.attempt, past.node, past.end, past.fence]),
    [[1, 'dead', 'lost', zombie.fence]],
  );
});

test('an attempt that is handed back is charged to the budget of its cause, a drained one to none', async () => {
  await using cluster = await testCluster();
  const who = await claimant(cluster);
  const id = await submit(cluster);
  for (const end of ['drained', 'crashed', 'infrastructure', 'drained'] as const) {
    await releaseTask(cluster, await claim(cluster, id, who), end, end, signal);
  }
  const { lock, attempts } = await readTaskState(cluster, id, signal);
  assert.equal(lock, undefined);
  const { claims, crashed, lost, drained } = attempts!.value;
  assert.deepEqual({ claims, crashed, lost, drained }, { claims: 4, crashed: 1, lost: 1, drained: 2 });
});

async function loseAttempts(count: number, changes = {}) {
  const cluster = await testCluster();
  const id = await submit(cluster, changes);
  for (let i = 0; i < count; i++) {
    const who = await claimant(cluster, `n${i}`);
    await claim(cluster, id, who);
    await cluster.store.revokeLease(who.lease, { signal, timeoutMs: 1000 });
  }
  return { cluster, id };
}

async function tryToClaim(cluster: Awaited<ReturnType<typeof testCluster>>, id: TaskId) {
  const { task } = await readTaskState(cluster, id, signal);
  return claimTask(cluster, id, task!, await claimant(cluster, 'last'), signal);
}

test('a task whose attempts are all lost is given up as infrastructure-lost, with every attempt named', async () => {
  const { cluster, id } = await loseAttempts(2, { attempts: { lost: 2 } });
  await using _ = cluster;
  const result = await tryToClaim(cluster, id);
  assert.equal(result.kind, 'exhausted');
  if (result.kind !== 'exhausted') return;
  assert.equal(await deadLetterTask(cluster, id, result.task, result.attempts, signal), true);
  const { task, completed } = await readTaskState(cluster, id, signal);
  assert.equal(task, undefined);
  assert.equal(completed?.value.outcome, 'infrastructure-lost');
  assert.equal(completed?.value.past.length, 2);
});

test('a task that is not idempotent is never started a second time', async () => {
  const { cluster, id } = await loseAttempts(1, { idempotent: false });
  await using _ = cluster;
  const result = await tryToClaim(cluster, id);
  assert.equal(result.kind, 'exhausted');
  if (result.kind !== 'exhausted') return;
  await deadLetterTask(cluster, id, result.task, result.attempts, signal);
  assert.equal((await readTaskState(cluster, id, signal)).completed?.value.outcome, 'dead-lettered');
});

test('a task that is not idempotent is not started again when its attempt was handed back either: it may have begun', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster, { idempotent: false });
  await releaseTask(cluster, await claim(cluster, id, await claimant(cluster)), 'drained', 'drained', signal);
  assert.equal((await tryToClaim(cluster, id)).kind, 'exhausted');
});

test('a queued task that is cancelled ends at once and can no longer be claimed', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster);
  const { task } = await readTaskState(cluster, id, signal);
  assert.equal(await cancelTask(cluster, id, { by: 'ann' }, signal), true);
  const { completed } = await readTaskState(cluster, id, signal);
  assert.equal(completed?.value.outcome, 'cancelled');
  assert.equal(completed!.value.message, 'Cancelled by ann');
  assert.equal((await claimTask(cluster, id, task!, await claimant(cluster), signal)).kind, 'taken');
});

test('a running task that is cancelled is asked to stop, and stays with its holder', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster);
  const held = await claim(cluster, id, await claimant(cluster));
  assert.equal(await cancelTask(cluster, id, { by: 'ann', reason: 'it is late' }, signal), true);
  const { task, lock } = await readTaskState(cluster, id, signal);
  assert.equal(cancelMessage(task!.value.cancelled), 'Cancelled by ann: it is late');
  assert.equal(lock?.revision, held.fence);
});

test('cancelling a task that does not exist says so', async () => {
  await using cluster = await testCluster();
  assert.equal(await cancelTask(cluster, newTaskId(5, Date.now(), Math.random), { by: 'ann' }, signal), false);
});
