import assert from 'node:assert/strict';
import { chown, link, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readTaskState } from '../../node-runtime/queue/records.ts';
import { collectArtifacts } from '../../node-runtime/runner/collect-artifacts.ts';
import type { Supervisor } from '../../node-runtime/runner/sandbox.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { CiError } from '../../shared/errors.ts';
import type { TaskSpec } from '../../shared/task.ts';
import { plainSupervisor, type TaskRunner, taskRunner } from '../support/task-runner.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { testCluster } from '../support/test-cluster.ts';
import { claim, claimant, eventually, submit } from '../support/test-tasks.ts';

let supervisor: Supervisor;
before(async () => {
  supervisor = await plainSupervisor();
});
after(() => supervisor[Symbol.asyncDispose]());

/** Runs a script and tells which files it has kept. */
async function keep(it: TaskRunner, run: string, artifacts: string[], changes: Partial<TaskSpec> = {}) {
  const result = await it.run({ steps: [{ run }], artifacts, ...changes });
  const files = (await it.artifacts(result.id, result.fence)) ?? [];
  return { result, files, paths: files.map(({ path }) => path) };
}

for (const [what, pattern, expected] of [
  ['a path keeps that file', 'out/a.txt', ['out/a.txt']],
  ['a folder keeps all that is in it', 'out/', ['out/a.txt', 'out/deep/b.txt', 'out/run.sh']],
  ['* keeps what is in one folder', 'out/*.txt', ['out/a.txt']],
  ['** keeps what is in folders below', '**/*.txt', ['other/c.txt', 'out/a.txt', 'out/deep/b.txt']],
  ['* stands for a folder too', '*/deep/*', ['out/deep/b.txt']],
  ['{ } are alternatives, also of paths', '{other,out/deep}/?.txt', ['other/c.txt', 'out/deep/b.txt']],
  ['a path may begin with ./', './other/c.txt', ['other/c.txt']],
] as const) {
  test(`an artifact pattern: ${what}`, async () => {
    await using it = await taskRunner(supervisor);
    const run =
      'mkdir -p out/deep other; for f in out/a.txt out/deep/b.txt out/run.sh other/c.txt; do echo $f > $f; done';
    const { result, paths } = await keep(it, run, [pattern]);
    assert.deepEqual(paths, expected);
    assert.equal(result.artifacts.count, expected.length);
    assert.deepEqual(result.notes, []);
  });
}

test('an artifact pattern stands for no name that begins with a dot, a folder keeps those too', async () => {
  await using it = await taskRunner(supervisor);
  const run = 'mkdir -p out/.meta; for f in out/a out/.b out/.meta/c; do echo $f > $f; done';
  assert.deepEqual((await keep(it, run, ['out/**'])).paths, ['out/a']);
  assert.deepEqual((await keep(it, run, ['out'])).paths, ['out/.b', 'out/.meta/c', 'out/a']);
});

test('an artifact has its size, its hash, whether it can be executed, and its bytes under the fence', async () => {
  await using it = await taskRunner(supervisor);
  const { result, files } = await keep(it, 'printf abc > plain; printf abc > tool; chmod +x tool', ['plain', 'tool']);
  const sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  assert.deepEqual(files, [
    { path: 'plain', size: 3, sha256 },
    { path: 'tool', size: 3, sha256, executable: true },
  ]);
  const stored = it.objects.objects.get(it.cluster.objectKeys.artifact(result.id, result.fence, sha256));
  assert.equal(Buffer.from(stored!.bytes).toString(), 'abc');
  assert.equal(result.artifacts.bytes, 6);
});

test('links are not followed, whether they are files or folders', async () => {
  await using it = await taskRunner(supervisor);
  const run =
    'mkdir out; echo x > out/own; ln -s /etc/passwd out/passwd; ln -s /etc out/etc; ln -s /etc top; mkfifo out/pipe';
  const { paths } = await keep(it, run, ['out', 'top', 'top/passwd']);
  assert.deepEqual(paths, ['out/own']);
});

test('a pattern that matches nothing is noted in the log, and fails nothing', async () => {
  await using it = await taskRunner(supervisor);
  const { result, files } = await keep(it, 'mkdir empty', ['missing/*.xml', 'empty']);
  assert.equal(result.outcome, 'passed');
  assert.deepEqual(files, []);
  assert.match(result.notes.join('\n'), /missing\/\*\.xml[\s\S]*empty/);
});

test('a failed task keeps its artifacts too', async () => {
  await using it = await taskRunner(supervisor);
  const { result, paths } = await keep(it, 'echo report > report; exit 1', ['report']);
  assert.equal(result.outcome, 'failed');
  assert.deepEqual(paths, ['report']);
});

test('more files than can be kept fail the task, and none is kept', async () => {
  await using it = await taskRunner(supervisor);
  const { result, files } = await keep(it, 'mkdir out; cd out; seq 10001 | xargs touch', ['out']);
  assert.equal(result.outcome, 'failed');
  assert.match(result.message, /more than 10000 files/);
  assert.deepEqual(files, []);
});

for (const [what, run] of [
  ['whose name is not text', `mkdir out; touch "out/$(printf '\\377')"`],
  [
    'whose path is too long',
    'name=$(printf "%0250d"); mkdir out; cd out; for i in $(seq 20); do mkdir $name; cd $name; done',
  ],
] as const) {
  test(`a file ${what} fails the task that asks for it, and is no reason to run it again`, async () => {
    await using it = await taskRunner(supervisor);
    const { result } = await keep(it, run, ['out'], { attempts: { lost: 2 } });
    assert.equal(result.outcome, 'failed', result.message);
    assert.match(result.message, /cannot be read \(E[A-Z]+\)/);
    assert.equal(result.attempt, 1);
  });
}

test('a hard link to a file of another user is not kept, a link of the task’s own is', {
  skip: notRoot(),
}, async () => {
  await using folder = await temporaryFolder();
  const workspace = join(folder.path, 'workspace');
  await mkdir(workspace);
  for (const name of ['own', 'ours']) await writeFile(join(folder.path, name), name, { mode: 0o600 });
  for (const path of [workspace, join(folder.path, 'own')]) await chown(path, 65534, 65534);
  for (const name of ['own', 'ours']) await link(join(folder.path, name), join(workspace, name));
  await using cluster = await testCluster();
  const collect = async (pattern: string) => {
    const claimed = await claim(cluster, await submit(cluster, { artifacts: [pattern] }), await claimant(cluster));
    return collectArtifacts(cluster, claimed, workspace, neverAborted);
  };
  assert.equal((await collect('own')).count, 1);
  await assert.rejects(
    collect('ours'),
    /^CiError: Cannot keep artifact as it is a link to a file of another user: "ours"$/,
  );
});

test('folders that no pattern speaks of are not looked into', async () => {
  await using it = await taskRunner(supervisor);
  const run =
    'mkdir out bad; echo x > out/x; cd bad; name=$(printf "%0250d"); for i in $(seq 20); do mkdir $name; cd $name; done';
  const { result, paths } = await keep(it, run, ['out/*', 'o*/y']);
  assert.equal(result.outcome, 'passed', result.message);
  assert.deepEqual(paths, ['out/x']);
});

test('artifacts that cannot be stored are no fault of the task: somebody may try again', async () => {
  await using it = await taskRunner(supervisor);
  let tries = 0;
  it.objects.fault = (operation, key) => {
    if (operation === 'put' && key.includes('/artifacts/') && tries++ === 0)
      throw new CiError('forbidden', `Cannot put object ${key} as these credentials may not do that`);
  };
  const { result, paths } = await keep(it, 'echo x > x', ['x']);
  assert.equal(result.outcome, 'passed', result.message);
  assert.deepEqual(paths, ['x']);
  assert.deepEqual(
    result.past.map(({ end }) => end),
    ['infrastructure'],
  );
});

test('artifacts that are being stored when the claim is lost hold up nobody, and no manifest names them', async () => {
  await using it = await taskRunner(supervisor);
  let isStoring = false;
  it.objects.fault = async (operation, key, signal) => {
    if (operation !== 'put' || !key.includes('/artifacts/')) return;
    isStoring = true;
    await systemClock.sleep(600_000, signal);
  };
  const id = await it.submit({ steps: [{ run: 'echo x > x' }], artifacts: ['x'] });
  await eventually('it is being stored', () => isStoring);
  await it.node.session.close(neverAborted);
  await eventually('the slot is free', () => it.node.slots.used === 0);
  const { attempts } = await readTaskState(it.cluster, id, neverAborted);
  assert.equal(await it.artifacts(id, attempts!.revision), undefined);
});

function notRoot(): string | false {
  return process.getuid?.() === 0 ? false : 'only root can have files of two users';
}
