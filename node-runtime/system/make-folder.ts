import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a folder with those above it, as `mkdir` with `recursive` does: for places that people name. Node’s own never ends where
 * the system denies that a folder is there which it has just been told of, as in /proc.
 */
export async function makeFolder(path: string, mode?: number): Promise<void> {
  try {
    await mkdir(path, mode);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' || dirname(path) === path) return settle(path, error);
    await makeFolder(dirname(path), mode);
    await mkdir(path, mode).catch(again => settle(path, again));
  }
}

/** What is there already is what was wanted, if it is a folder; so is what others make meanwhile. */
async function settle(path: string, error: unknown): Promise<void> {
  const isThere = await stat(path).then(
    it => it.isDirectory(),
    () => false,
  );
  if (!isThere) throw error;
}
