import { lstat, mkdir, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CiError } from '../../../shared/errors.ts';

/** Where the sandboxes of all nodes may lie that have a folder which other users cannot get to, such as one in root's home. */
const PLACES = ['/var/lib/simple-ci-sandboxes', '/var/tmp/simple-ci-sandboxes', '/tmp/simple-ci-sandboxes'];

/** Makes the folder for sandboxes, in a place that other users can get to where they have to, and returns its real path. */
export async function findRoot(wanted: string, forOthers: boolean): Promise<string> {
  await mkdir(wanted, { recursive: true, mode: 0o711 });
  const root = await realpath(wanted);
  if (!forOthers || (await isOpen(root))) return root;
  for (const path of PLACES) {
    await mkdir(path, { mode: 0o711 }).catch(() => undefined);
    if ((await isOpen(path)) && (await isOurs(path))) return path;
  }
  throw new CiError('unavailable', `Cannot make a folder for sandboxes that other users can get to: ${wanted}`);
}

/** Whether all users can pass through it and everything above it. */
async function isOpen(path: string): Promise<boolean> {
  const { mode } = await stat(path).catch(() => ({ mode: 0 }));
  if ((mode & 0o001) === 0) return false;
  return path === '/' || isOpen(dirname(path));
}

/** Not a folder or link that somebody else has put there. */
async function isOurs(path: string): Promise<boolean> {
  const found = await lstat(path);
  return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0;
}
