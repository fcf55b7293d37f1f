import { accessSync, constants } from 'node:fs';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { type FilePath, joinPaths, lookAt, pathBytes, showPath } from './file-path.ts';
import { type Git, GitError, type GitPlace } from './git.ts';
import type { FileList } from './list-files.ts';
import type { Index } from './read-index.ts';

type IndexPlace = Required<GitPlace> & { readonly config?: Readonly<Record<string, string>> };

/** From this many new files on they are written into one pack instead of a file each. */
const MANY_FILES = 1000;
/** How often a file that changes under our hands, or is not what it was listed as, is looked at again. */
const MAX_REPAIRS = 100;

/** Makes the index hold exactly the listed files, as they lie in the work tree now. Only what changed is read. */
export async function updateIndex(git: Git, place: IndexPlace, before: Index, files: FileList): Promise<void> {
  const tracked = new Set(files.tracked);
  const untracked = new Set(files.untracked);
  const removeUnwanted = async () => {
    const unwanted = [...before.keys()].filter(path => !tracked.has(path) && !untracked.has(path));
    if (unwanted.length > 0) await apply(git, place, ['--force-remove'], unwanted);
  };
  await removeUnwanted();
  const listed = tracked.size + untracked.size;
  await addFiles(git, place, tracked);
  const fresh = files.untracked.reduce((count, path) => count + (before.has(path) ? 0 : 1), 0);
  const intoOnePack = { ...place.config, 'core.bigFileThreshold': '1' };
  await addFiles(git, fresh >= MANY_FILES ? { ...place, config: intoOnePack } : place, untracked);
  if (tracked.size + untracked.size < listed) await removeUnwanted();
}

async function addFiles(git: Git, place: IndexPlace, paths: Set<FilePath>): Promise<void> {
  for (let repairs = 0; paths.size > 0; repairs++) {
    try {
      return await apply(git, place, ['--add', '--remove', '--replace'], paths);
    } catch (error) {
      const path = culprit(error);
      if (path === undefined || repairs >= MAX_REPAIRS) throw error;
      repair(place.workTree, paths, path, error);
    }
  }
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
    accessSync(file, constants.R_OK);
  } catch {
    throw new CiError('invalid', `Cannot take snapshot as a file may not be read: ${quote(showPath(path))}`, { cause });
  }
}
