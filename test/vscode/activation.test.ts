import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { packagedExtension } from '../support/packaged-extension.ts';

const execute = promisify(execFile);
const child = fileURLToPath(new URL('../support/activation-child.ts', import.meta.url));
const bundle = fileURLToPath(new URL('../../dist/extension/extension.js', import.meta.url));
/** The first one fills the caches of the machine. */
const ROUNDS = 5;
/** Something that goes on keeps the process alive: then it is killed, which is a failure. */
const ENDS_WITHIN_MS = 120_000;

interface Activation {
  readonly loadMs: number;
  readonly activateMs: number;
  readonly processorMs: number;
  readonly calls: readonly string[];
}

describe('activating the extension', () => {
  before(async () => void (await packagedExtension()));

  test('asks nothing of the network, starts nothing and leaves nothing going on, even with a cluster of last time', async t => {
    const rounds: Activation[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const { stdout } = await execute(process.execPath, [child, bundle], { timeout: ENDS_WITHIN_MS });
      rounds.push(JSON.parse(stdout) as Activation);
    }
    assert.deepEqual(
      rounds.flatMap(({ calls }) => calls),
      [],
    );
    const middle = (of: (round: Activation) => number) =>
      rounds
        .map(of)
        .sort((a, b) => a - b)
        [ROUNDS >> 1]!.toFixed(1);
    t.diagnostic(
      `loaded in ${middle(round => round.loadMs)} ms, activated in ${middle(round => round.activateMs)} ms; both took ${middle(round => round.processorMs)} ms of a processor (budget: 50 ms)`,
    );
  });
});
