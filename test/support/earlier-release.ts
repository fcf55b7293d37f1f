import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A commit of before nodes counted the demand, which stands for the release before this one until there is one. */
const EARLIER = '3d0a971692eb';

/**
 * The program as an earlier commit has it, built in `folder` with the dependencies of this checkout: some seconds. Skips the test where the
 * history is not there: a shallow checkout is none that anybody releases from.
 */
export function earlierRelease(t: TestContext, folder: string): string | undefined {
  if (!hasCommit()) {
    t.skip(`The history of this checkout does not reach back to ${EARLIER}`);
    return undefined;
  }
  const tree = join(folder, 'earlier');
  mkdirSync(tree);
  const archive = execFileSync('git', ['archive', EARLIER], { cwd: root, maxBuffer: 2 ** 28 });
  execFileSync('tar', ['x', '-C', tree], { input: archive });
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
  execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: tree, stdio: 'pipe' });
  const program = join(tree, 'dist/simple-ci.cjs');
  if (!existsSync(program)) throw new Error(`The earlier release was not built: ${program}`);
  return program;
}

function hasCommit(): boolean {
  return spawnSync('git', ['cat-file', '-e', `${EARLIER}^{commit}`], { cwd: root }).status === 0;
}
