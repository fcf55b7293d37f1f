import { statfs } from 'node:fs/promises';
import { CiError, isCiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';

/** With less than this a disk is full: what somebody wanted to write was larger, or there would have been room for it. */
const LEAST_BYTES = 1_048_576;

/**
 * Does something that fills a folder. When its disk is full that is told, and which folder: the system's words name none, and
 * a program that has failed for want of space, git among them, seems to have been given something that is damaged.
 * @param what to follow "Cannot"
 */
export async function orTellNoSpace<T>(what: string, folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isFull = isNoSpace(error) || (isCiError(error, 'invalid') && (await hasNoSpace(folder)));
    throw isFull ? noSpace(what, folder, error) : error;
  }
}

export function noSpace(what: string, folder: string, cause: unknown): CiError {
  return new CiError('unavailable', `Cannot ${what} as there is no space left: ${quote(folder)}`, { cause });
}

export function isNoSpace(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
}

async function hasNoSpace(folder: string): Promise<boolean> {
  const disk = await statfs(folder).catch(() => undefined);
  if (!disk) return false;
  const hasNoFiles = disk.files > 0 && disk.ffree === 0;
  return hasNoFiles || disk.bavail * disk.bsize < LEAST_BYTES;
}
