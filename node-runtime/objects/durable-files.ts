import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

const MOST_TRIES = 100;

/** Opens a file that is not there yet, in a folder that is made when it is missing. */
export async function openNew(path: string) {
  const file = await whenThere(open(path, 'wx'));
  if (file !== undefined) return file;
  await makeDirectory(dirname(path));
  return open(path, 'wx');
}

/**
 * Moves a finished file into place. Its directories are made when they are missing, again and again, as other processes
 * remove them when they are empty.
 */
export async function publish(draft: string, path: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      if (tries > 1) await makeDirectory(dirname(path));
      await rename(draft, path);
      break;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || tries === MOST_TRIES) throw error;
    }
  }
  await whenThere(syncDirectory(dirname(path)));
}

/** Not mkdir's own `recursive`: that one fails in odd ways (ENOTDIR, ENOENT) when a directory goes away meanwhile. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    if (codeOf(error) !== 'ENOENT') throw error;
    await makeDirectory(dirname(path));
    return makeDirectory(path);
  }
  await whenThere(syncDirectory(dirname(path)));
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The outcome, or undefined when there is no such file. */
export async function whenThere<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Of an error of the file system; undefined for all others. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error ? (error as NodeJS.ErrnoException).code : undefined;
}
