import { constants } from 'node:fs';
import { copyFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SnapshotManifest } from '../../shared/api.ts';
import { CiError } from '../../shared/errors.ts';
import { gitEnvironment } from './git.ts';
import { writeGitDir } from './git-dir.ts';
import type { HeldPacks } from './pack-cache.ts';

/** Runs a program in the workspace's folder, as whoever shall own the files, and gives all it printed. */
export type RunInWorkspace = (
  argv: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
) => Promise<{ readonly code: number; readonly output: string }>;

/**
 * Makes `.git` in an empty workspace: copies of exactly the manifest's packs, so that a task sees no other task's objects and
 * can spoil no one's, HEAD at the snapshot. Then give the folder to the task's user and call `checkOut`.
 */
export async function prepareCheckout(manifest: SnapshotManifest, packs: HeldPacks, workspace: string): Promise<void> {
  const gitDir = join(workspace, '.git');
  const { commit, shallow } = manifest;
  await writeGitDir(gitDir, { format: packs.format, head: commit, shallow, config: CHECKOUT_CONFIG });
  for (const folder of packs.folders)
    for (const name of await readdir(folder))
      await copyFile(join(folder, name), join(gitDir, 'objects/pack', name), constants.COPYFILE_FICLONE);
}

/**
 * Writes the files. git itself is trusted to write nothing outside of the workspace, whatever a tree holds, and it runs as
 * the task's user in the task's sandbox.
 * @param path where programs are found, as commands in the sandbox see it
 */
export async function checkOut(manifest: SnapshotManifest, run: RunInWorkspace, path: string): Promise<void> {
  const env = { ...gitEnvironment({ PATH: path }), HOME: '/' };
  const { code, output } = await run(['git', 'reset', '--hard', '--quiet', manifest.commit], env);
  if (code === 0) return;
  const said = output.trim().slice(-2000);
  if (NOT_WRITTEN.test(output))
    throw new CiError(
      'unavailable',
      `Cannot write the files of snapshot ${manifest.commit} as there is no space left, or the disk fails: ${said}`,
    );
  throw new CiError('invalid', `Cannot check out snapshot ${manifest.commit} as git failed: ${said}`);
}

/** Of a file that could not be made, or not be filled: git removes that again, so that there is room when somebody looks. */
const NOT_WRITTEN = /^error: unable to write file |: (?:No space left on device|Disk quota exceeded)$/m;

const CHECKOUT_CONFIG = {
  'core.symlinks': 'true',
  'core.fileMode': 'true',
  'advice.detachedHead': 'false',
  'checkout.workers': '0',
};
