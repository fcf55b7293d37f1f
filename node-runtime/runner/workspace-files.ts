import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir } from 'node:fs/promises';
import { join, matchesGlob } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';

/** More files than this belong into an archive, which the task can make itself. */
export const MOST_FILES = 10_000;
const CHUNK_BYTES = 1_048_576;

/** Regular files under the workspace that a pattern matches, or that lie in a folder which one matches. */
export async function findFiles(workspace: string, patterns: readonly string[], signal: AbortSignal) {
  const wanted = patterns.map(pattern => ({
    pattern,
    clean: pattern.replace(/^\.\//, '').replace(/\/+$/, ''),
    isMatched: false,
  }));
  const paths: string[] = [];
  const walk = async (folder: string, isInside: boolean): Promise<void> => {
    signal.throwIfAborted();
    const entries = await byTask(folder, readdir(join(workspace, folder), { withFileTypes: true }));
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (path === '.git') continue;
      const matches = wanted.filter(({ clean }) => path === clean || matchesGlob(path, clean));
      if (entry.isDirectory()) {
        const isWanted = isInside || matches.length > 0;
        if (!isWanted && !wanted.some(({ clean }) => mayMatchWithin(path, clean))) continue;
        const before = paths.length;
        await walk(path, isWanted);
        if (paths.length > before) for (const match of matches) match.isMatched = true;
      } else if (entry.isFile() && (isInside || matches.length > 0)) {
        for (const match of matches) match.isMatched = true;
        paths.push(path);
        if (paths.length > MOST_FILES)
          throw new CiError(
            'invalid',
            `Cannot keep artifacts as the patterns match more than ${MOST_FILES} files. Pack them into an archive`,
          );
      }
    }
  };
  await walk('', false);
  return { paths, unmatched: wanted.filter(({ isMatched }) => !isMatched).map(({ pattern }) => pattern) };
}

/** Whether something in the folder may match the pattern: what comes before the pattern's first ** must be the folder's own. */
function mayMatchWithin(folder: string, pattern: string): boolean {
  const parts = pattern.includes('{') ? ['**'] : pattern.split('/');
  for (const [at, name] of folder.split('/').entries()) {
    const part = parts[at];
    if (part === undefined) return false;
    if (part.includes('**')) return true;
    if (part !== name && !matchesGlob(name, part)) return false;
  }
  return true;
}

/** What only the task can have made so that it cannot be read: it would be no different on another node. */
const TASK_FAULTS = new Set(['EACCES', 'EPERM', 'ELOOP', 'ENAMETOOLONG', 'ENOENT', 'ENOTDIR']);

async function byTask<T>(path: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!TASK_FAULTS.has(code)) throw error;
    const shown = quote(path.length > 200 ? `${path.slice(0, 200)}…` : path);
    throw new CiError('invalid', `Cannot keep artifacts as something cannot be read (${code}): ${shown}`, {
      cause: error,
    });
  }
}

/** Opens a file without following a link at any part of its path. */
export function openInside(workspace: string, path: string): Promise<FileHandle> {
  return byTask(path, openFile(workspace, path));
}

async function openFile(workspace: string, path: string): Promise<FileHandle> {
  let folder = workspace;
  const parts = path.split('/');
  for (const part of parts.slice(0, -1)) {
    folder = join(folder, part);
    if (!(await lstat(folder)).isDirectory())
      throw new CiError('invalid', `Cannot keep artifact as a part of its path is no folder: ${path}`);
  }
  return open(join(folder, parts.at(-1) ?? ''), constants.O_RDONLY | constants.O_NOFOLLOW);
}

export async function* chunks(file: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
