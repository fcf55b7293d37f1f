import { CiError, type ErrorCode } from '../../../shared/errors.ts';

const BUSY = 5;
const LOCKED = 6;
const FULL = 13;

/** SQLite's primary result codes that a user can do something about. */
const MEANINGS: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  3: ['unavailable', 'access to it is denied'],
  8: ['unavailable', 'it may not be written'],
  10: ['unavailable', 'its disk reports an error'],
  11: ['invalid', 'the file is damaged'],
  13: ['unavailable', 'its disk is full'],
  14: ['unavailable', 'the file cannot be opened'],
  26: ['invalid', 'the file is not a database'],
};

interface SqliteError extends Error {
  readonly errcode: number;
}

export function isSqliteError(error: unknown): error is SqliteError {
  return error instanceof Error && (error as { code?: unknown }).code === 'ERR_SQLITE_ERROR';
}

export function isBusy(error: unknown): boolean {
  return isSqliteError(error) && [BUSY, LOCKED].includes(primaryCode(error));
}

export function isDiskFull(error: unknown): boolean {
  return isSqliteError(error) && primaryCode(error) === FULL;
}

/** Failures of the file as CiErrors; anything else, bugs of our own SQL included, as it is. */
export function translateSqliteError(error: unknown, what: string, file: string): unknown {
  const [code, reason] = meaning(error) ?? [];
  if (code === undefined) return error;
  return new CiError(code, `Cannot ${what} as ${reason}: ${file}`, { cause: error });
}

function meaning(error: unknown): readonly [ErrorCode, string] | undefined {
  if (isSqliteError(error)) return MEANINGS[primaryCode(error)];
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC') return MEANINGS[FULL];
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return MEANINGS[3];
  if (code === 'EISDIR' || code === 'ENOTDIR' || code === 'EEXIST')
    return ['invalid', 'its path is not that of a file'];
  return undefined;
}

/** An extended code, like the one for a full disk while syncing, has the primary one in its lowest byte. */
function primaryCode(error: SqliteError): number {
  return error.errcode & 0xff;
}
