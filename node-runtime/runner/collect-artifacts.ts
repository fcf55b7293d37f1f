import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir } from 'node:fs/promises';
import { join, matchesGlob } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { Artifact, ArtifactManifest } from '../../shared/result.ts';
import { FORMAT_VERSION } from '../../shared/task.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Claim } from '../queue/records.ts';

/** More files than this belong into an archive, which the task can make itself. */
const MOST_FILES = 10_000;
const CHUNK_BYTES = 1_048_576;

export interface Collected {
  readonly count: number;
  readonly bytes: number;
  /** Of the manifest object; absent when nothing was kept. */
  readonly sha256?: string;
  /** Patterns that matched no file. */
  readonly unmatched: readonly string[];
}

/**
 * Stores the files that the task's patterns name, and a manifest of them. To be called when nothing of the task runs any more,
 * so that nothing can change under it. Links are not followed: what is kept lies in the workspace. Rejects with `invalid` for
 * what the task got wrong, and with the object store's errors.
 */
export async function collectArtifacts(
  cluster: Cluster,
  claim: Claim,
  workspace: string,
  signal: AbortSignal,
): Promise<Collected> {
  const patterns = claim.task.artifacts ?? [];
  if (patterns.length === 0) return { count: 0, bytes: 0, unmatched: [] };
  const { paths, unmatched } = await findFiles(workspace, patterns, signal);
  const files: Artifact[] = [];
  for (const path of paths) files.push(await storeFile(cluster, claim, workspace, path, signal));
  if (files.length === 0) return { count: 0, bytes: 0, unmatched };
  const manifest: ArtifactManifest = { v: FORMAT_VERSION, files };
  const bytes = Buffer.from(JSON.stringify(manifest));
  await cluster.objects.put(cluster.objectKeys.artifactManifest(claim.id, claim.fence), bytes, {
    signal,
    contentType: 'application/json',
  });
  const total = files.reduce((sum, file) => sum + file.size, 0);
  return { count: files.length, bytes: total, sha256: createHash('sha256').update(bytes).digest('hex'), unmatched };
}

/** Regular files under the workspace that a pattern matches, or that lie in a folder which one matches. */
async function findFiles(workspace: string, patterns: readonly string[], signal: AbortSignal) {
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

async function storeFile(
  cluster: Cluster,
  claim: Claim,
  workspace: string,
  path: string,
  signal: AbortSignal,
): Promise<Artifact> {
  await using file = await byTask(path, openInside(workspace, path));
  const { size, mode, uid, nlink } = await file.stat();
  const owner = (await lstat(workspace)).uid;
  // Some systems let anybody link to files of others (fs.protected_hardlinks=0): we may read what the task may not.
  if (nlink > 1 && uid !== owner && owner !== process.getuid?.())
    throw new CiError('invalid', `Cannot keep artifact as it is a link to a file of another user: ${quote(path)}`);
  const hash = createHash('sha256');
  for await (const chunk of chunks(file)) hash.update(chunk);
  const sha256 = hash.digest('hex');
  await cluster.objects.put(cluster.objectKeys.artifact(claim.id, claim.fence, sha256), chunks(file), { signal });
  return { path, size, sha256, ...((mode & 0o111) !== 0 && { executable: true }) };
}

/** Opens a file without following a link at any part of its path. */
async function openInside(workspace: string, path: string): Promise<FileHandle> {
  let folder = workspace;
  const parts = path.split('/');
  for (const part of parts.slice(0, -1)) {
    folder = join(folder, part);
    if (!(await lstat(folder)).isDirectory())
      throw new CiError('invalid', `Cannot keep artifact as a part of its path is no folder: ${path}`);
  }
  return open(join(folder, parts.at(-1) ?? ''), constants.O_RDONLY | constants.O_NOFOLLOW);
}

async function* chunks(file: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
