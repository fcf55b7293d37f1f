import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MUTANT = ['--mutant', 'COMPLETE compares no fence'];
const main = fileURLToPath(new URL('main.ts', import.meta.url));

test('a failure is told with the few parts of its seed that it takes, and with a command that repeats just these', async () => {
  const told = await simulate([...MUTANT, '--seeds', '20']);
  const [, broken, seed] = /^(Seed (\d+) breaks I2: .*)$/m.exec(told)!;
  const [, of, enough] = /^Of the (\d+) parts of this seed (\d+) are enough for it/m.exec(told)!;
  assert.ok(Number(enough) * 5 < Number(of), `Of ${of} parts there are still ${enough}`);
  assert.equal(await simulate([...MUTANT, '--seed', seed!]), await simulate([...MUTANT, '--seed', seed!]));

  const [, only] = /^To repeat: npm run simulate -- --seed \d+ --mutant '.*' --only '(.*)'$/m.exec(told)!;
  const repeat = (parts: readonly string[]) => simulate([...MUTANT, '--seed', seed!, '--only', parts.join()]);
  const parts = only!.split(',');
  const repeated = await repeat(parts);
  assert.ok(repeated.startsWith(`${broken}\n`), repeated);
  assert.deepEqual(traceOf(repeated), traceOf(told));
  for (const part of parts.filter(each => !each.startsWith('node ')))
    assert.doesNotMatch(await repeat(parts.filter(each => each !== part)), /breaks/, `It takes no ${part}`);
});

test('a part that a seed does not have cannot be asked for', async () => {
  assert.match(await simulate(['--only', 'act 7,a hurricane']), /there is no such part of seed 1: a hurricane/);
});

function traceOf(told: string): string[] {
  return told.split('\n').filter(line => /^ +\d+\.\d{3} s {2}/.test(line));
}

/** What it prints, to whichever side, but for how long it took. */
function simulate(options: readonly string[]): Promise<string> {
  return new Promise(resolve => {
    execFile(process.execPath, [main, ...options], (_error, stdout, stderr) =>
      resolve((stdout + stderr).replace(/, [\d.]+ s of processor time/, '')),
    );
  });
}
