import { closeSync, openSync } from 'node:fs';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { type FilePath, joinPaths, lookAt, pathBytes, showPath, splitPaths } from './file-path.ts';
import { type Git, GitError, type GitPlace } from './git.ts';
import type { FileList } from './list-files.ts';
import type { Index } from './read-index.ts';

type IndexPlace = Required<GitPlace> & { readonly config?: Readonly<Record<string, string>> };

type ListedFiles = Pick<FileList, 'tracked' | 'untracked'>;

/** From this many new files on they are written into one pack instead of a file each. */
const MANY_FILES = 1000;
/** How often a file that changes under our hands, or is not what it was listed as, is looked at again. */
const MAX_REPAIRS = 100;

/** What differs between the index and the work tree among the files that the index knows. */
export interface IndexChanges {
  readonly changed: readonly FilePath[];
  readonly gone: readonly FilePath[];
}

/** Compares by size, times and inode, as git does, on all cores. Reads no file but those it cannot be sure of. */
export async function findChanges(git: Git, place: IndexPlace): Promise<IndexChanges> {
  const output = splitPaths(await git.output(place, 'diff-files', '-z', '--name-status'));
  const changed: FilePath[] = [];
  const gone: FilePath[] = [];
  for (let at = 0; at + 1 < output.length; at += 2) (output[at] === 'D' ? gone : changed).push(output[at + 1]!);
  return { changed, gone };
}

/** What became of an update. */
export interface IndexUpdate {
  readonly isChanged: boolean;
  /** Paths that turned out to be no files. */
  readonly dropped: readonly FilePath[];
}

/**
 * Makes the index hold exactly the listed files. Those it has already are believed to be as it has them: see `updateChanged`.
 * @param before what the index holds
 */
export function updateIndex(git: Git, place: IndexPlace, before: Index, files: ListedFiles): Promise<IndexUpdate> {
  const isNew = (path: FilePath) => !before.has(path);
  const [tracked, untracked] = [new Set(files.tracked.filter(isNew)), new Set(files.untracked.filter(isNew))];
  return change(git, place, unwantedOf(before, files), tracked, untracked);
}

/** Makes the index hold the files that it knows as they lie in the work tree now. Only what changed is read. */
export function updateChanged(git: Git, place: IndexPlace, { changed, gone }: IndexChanges): Promise<IndexUpdate> {
  return change(git, place, new Set(gone), new Set(changed), new Set());
}

async function change(
  git: Git,
  place: IndexPlace,
  unwanted: ReadonlySet<FilePath>,
  changed: ReadonlySet<FilePath>,
  untracked: ReadonlySet<FilePath>,
): Promise<IndexUpdate> {
  const intoOnePack = { ...place, config: { ...place.config, 'core.bigFileThreshold': '1' } };
  if (unwanted.size > 0) await apply(git, place, ['--force-remove'], unwanted);
  const dropped = [
    ...(await addFiles(git, place, changed)),
    // What a repository tracks it mostly has already, and is written nowhere; the rest is all to be written.
    ...(await addFiles(git, untracked.size >= MANY_FILES ? intoOnePack : place, untracked)),
  ];
  if (dropped.length > 0) await apply(git, place, ['--force-remove'], dropped);
  return { isChanged: unwanted.size + changed.size + untracked.size > 0, dropped };
}

/**
 * Where the file system does not tell which files are programs (core.fileMode is false: Windows, some mounts), the user's own
 * index does. His nested repositories' indexes are not asked.
 */
export async function restoreModes(git: Git, place: IndexPlace, userIndex: string, files: ListedFiles): Promise<void> {
  if (place.config?.['core.filemode'] !== 'false') return;
  const tracked = new Set(files.tracked);
  const entries = splitPaths(await git.output({ ...place, indexFile: userIndex }, 'ls-files', '-z', '--stage'));
  const programs = entries
    .filter(entry => entry.startsWith('100755 '))
    .map(entry => entry.slice(entry.indexOf('\t') + 1))
    .filter(path => tracked.has(path));
  if (programs.length > 0) await apply(git, place, ['--chmod=+x'], programs);
}

function unwantedOf(before: Index, { tracked, untracked }: ListedFiles): Set<FilePath> {
  const unwanted = new Set(before.keys());
  for (const path of tracked) unwanted.delete(path);
  for (const path of untracked) unwanted.delete(path);
  return unwanted;
}

/** Gives the paths that turned out to be no files. */
async function addFiles(git: Git, place: IndexPlace, wanted: ReadonlySet<FilePath>): Promise<FilePath[]> {
  const paths = new Set(wanted);
  for (let repairs = 0; paths.size > 0; repairs++) {
    try {
      await apply(git, place, ['--add', '--remove', '--replace'], paths);
      break;
    } catch (error) {
      const path = culprit(error);
      if (path === undefined || repairs >= MAX_REPAIRS) throw error;
      repair(place.workTree, paths, path, error);
    }
  }
  return [...wanted].filter(path => !paths.has(path));
}

async function apply(git: Git, place: IndexPlace, how: string[], paths: Iterable<FilePath>): Promise<void> {
  const { code, stderr } = await git.run(
    { ...place, input: joinPaths(paths) },
    'update-index',
    ...how,
    '-z',
    '--stdin',
  );
  if (code !== 0) throw new GitError(['update-index'], code, stderr);
  const ignored = /^Ignoring path (.*)$/m.exec(stderr)?.[1];
  if (ignored !== undefined)
    throw new CiError(
      'invalid',
      `Cannot take snapshot as git would never check out a file of this name: ${quote(ignored)}`,
    );
}

function culprit(error: unknown): FilePath | undefined {
  const name = error instanceof GitError ? /Unable to process path (.*)\n?$/s.exec(error.stderr)?.[1] : undefined;
  return name === undefined ? undefined : Buffer.from(name.replace(/\n$/, '')).toString('latin1');
}

/** Takes what is no file (any more) out of the list. Leaves a file that changed while it was read, to be read again. */
function repair(workTree: string, paths: Set<FilePath>, path: FilePath, cause: unknown): void {
  const blocked = blockingParent(workTree, path);
  if (blocked !== undefined) {
    removeBelow(paths, `${blocked}/`);
    return;
  }
  const info = lookAt(workTree, path);
  if (!info?.isFile() && !info?.isSymbolicLink()) {
    paths.delete(path);
    return;
  }
  if (info.isFile()) refuseUnreadable(pathBytes(workTree, path), path, cause);
}

/** The first folder of the path that is none: a tracked folder may have become a symbolic link. */
function blockingParent(workTree: string, path: FilePath): FilePath | undefined {
  for (let end = path.indexOf('/'); end > 0; end = path.indexOf('/', end + 1)) {
    const parent = path.slice(0, end);
    if (!lookAt(workTree, parent)?.isDirectory()) return parent;
  }
  return undefined;
}

function removeBelow(paths: Set<FilePath>, folder: string): void {
  for (const path of paths) if (path.startsWith(folder)) paths.delete(path);
}

function refuseUnreadable(file: Buffer, path: FilePath, cause: unknown): void {
  try {
    closeSync(openSync(file, 'r'));
  } catch {
    throw new CiError('invalid', `Cannot take snapshot as a file may not be read: ${quote(showPath(path))}`, { cause });
  }
}
