import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { expectedLog, KINDS, taskOf } from './task-kinds.ts';
import { Witness } from './witness.ts';

test('a task’s script tells what it prints, and how it was cut short', async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'witness.jsonl');
  await using witness = await Witness.start(file, `${file}.socket`);
  const job = {
    ...KINDS.quick(),
    lines: 3,
    filling: 5,
    pauseSeconds: 0.01,
    tellsSecret: false,
    keepsFiles: false,
  };
  const whole = run(1, taskOf(job, witness.port).steps[0]!.run);
  const cut = run(2, taskOf({ ...job, lines: 1_000_000 }, witness.port).steps[0]!.run);
  await until(
    'both tell',
    () => witness.executions.length === 2 && witness.executions.every(({ beats }) => beats.length > 2),
  );
  cut.child.kill('SIGKILL');
  assert.equal(await whole.output, expectedLog(job, 'task', 1));
  await until('both are gone', () => witness.executions.every(({ goneAt }) => goneAt !== undefined));
  const [first, second] = witness.executions.toSorted((a, b) => a.attempt - b.attempt);
  assert.deepEqual(
    [first!.task, first!.fence, first!.pid, first!.saidEnd, first!.beats.map(({ line }) => line)],
    ['task', 11, whole.child.pid, true, [1, 2, 3]],
  );
  assert.deepEqual([second!.fence, second!.saidEnd], [12, false]);
  await until('it is written down', async () => (await readFile(file, 'utf8')).includes('"fence":12,"line":"gone"'));
});

function run(attempt: number, script: string) {
  const env = { SIMPLE_CI_TASK: 'task', SIMPLE_CI_ATTEMPT: String(attempt), SIMPLE_CI_FENCE: String(10 + attempt) };
  const child = spawn('bash', ['-eo', 'pipefail', '-c', script], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const output = child.stdout.toArray().then(chunks => Buffer.concat(chunks).toString());
  return { child, output };
}
