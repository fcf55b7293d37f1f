import { lstat, realpath } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { homeFolder } from '../system/home-folder.ts';
import { findRepository, type GitRepository } from './git-repository.ts';

/** The names a task file may have, the first that exists counts. */
export const TASK_FILE_NAMES = ['simple-ci.yaml', 'simple-ci.yml', 'simple-ci.json'] as const;

/** A folder whose content is sent to the cluster, and whose tasks are run. */
export interface Workspace {
  /** Absolute, without symbolic links. */
  readonly root: string;
  /** Where the search began, relative to the root, with / between parts; empty for the root itself. */
  readonly subdirectory: string;
  readonly taskFile?: string;
  /** The repository that the root lies in. */
  readonly git?: GitRepository;
}

/**
 * The workspace that a folder belongs to: the nearest folder above it (or itself) with a task file, else the top of its
 * repository, else itself. The search ends at the top of the outermost repository; outside of repositories below the home
 * folder. A task file of another user is passed over: else anybody could make /tmp a workspace.
 */
export async function findWorkspace(dir: string): Promise<Workspace> {
  const start = await realFolder(dir);
  const repository = await findRepository(start);
  const limit = repository && (await outermost(repository));
  const found = await findTaskFile(start, limit);
  const root = found?.root ?? repository?.toplevel ?? start;
  const git = root === repository?.toplevel ? repository : await findRepository(root);
  return {
    root,
    subdirectory: relative(root, start).replaceAll(sep, '/'),
    ...(found && { taskFile: found.taskFile }),
    ...(git && { git }),
  };
}

async function realFolder(dir: string): Promise<string> {
  try {
    const path = await realpath(dir);
    if ((await lstat(path)).isDirectory()) return path;
  } catch (cause) {
    throw new CiError('not-found', `Cannot find workspace as there is no such folder: ${quote(dir)}`, { cause });
  }
  throw new CiError('not-found', `Cannot find workspace as it is a file, not a folder: ${quote(dir)}`);
}

async function outermost(repository: GitRepository): Promise<string> {
  const outer = await findRepository(dirname(repository.toplevel));
  return outer && outer.toplevel !== repository.toplevel ? outermost(outer) : repository.toplevel;
}

async function findTaskFile(
  start: string,
  limit: string | undefined,
): Promise<{ root: string; taskFile: string } | undefined> {
  for (let at = start; ; at = dirname(at)) {
    const taskFile = await taskFileIn(at);
    if (taskFile !== undefined) return { root: at, taskFile };
    const parent = dirname(at);
    if (at === limit || parent === at) return undefined;
    if (limit === undefined && (parent === homeFolder() || dirname(parent) === parent)) return undefined;
  }
}

async function taskFileIn(folder: string): Promise<string | undefined> {
  for (const name of TASK_FILE_NAMES) {
    const path = join(folder, name);
    const info = await lstat(path).catch(() => undefined);
    if (info && !info.isDirectory() && isOwn(info.uid)) return path;
  }
  return undefined;
}

/** Root's files are anybody's, and root may use everybody's: containers often run as root over mounted folders. */
function isOwn(owner: number): boolean {
  const user = process.getuid?.();
  return user === undefined || user === 0 || owner === 0 || owner === user;
}
