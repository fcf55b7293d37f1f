import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { type Clock, systemClock } from '../system/clock.ts';
import type { Workspace } from './find-workspace.ts';
import { Git, GitError, type UserEnvironment } from './git.ts';
import { Scratch } from './scratch.ts';
import { type Taken, Taking } from './taking.ts';

export interface SnapshotOptions {
  /** Where what is remembered between snapshots lies; any number of workspaces share it. */
  readonly cacheDir: string;
  readonly env: UserEnvironment;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/** What was taken, and the way to take it again. */
export interface Snapshot extends Taken {
  /** Takes it again, when what was remembered of it turns out to be damaged. */
  readonly retake: () => Promise<Snapshot>;
}

/**
 * Takes a snapshot: staged, unstaged and untracked files as they lie in the folder, without ignored ones. The user's index,
 * refs and files are left as they are, and no program is run that his repository names: no hook, filter or file system monitor.
 *
 * Each file is read whole at some moment; a folder that changes meanwhile is caught in between. Empty folders, sockets and
 * devices are no part of a snapshot. Rejects with `invalid` for a file that cannot be read, or that git would never check out.
 */
export async function takeSnapshot(workspace: Workspace, options: SnapshotOptions): Promise<Snapshot> {
  const { cacheDir, env, signal, clock = systemClock } = options;
  const git = new Git(env, signal);
  const scratch = Scratch.of(cacheDir, workspace);
  using _lock = await scratch.lock(clock, signal);
  const taking = new Taking(workspace, scratch, git);
  const retake = () => takeSnapshot(workspace, options);
  try {
    return { ...(await taking.take()), retake };
  } catch (error) {
    if (signal.aborted || error instanceof CiError) throw error;
  }
  // What we remembered is damaged, or leans on objects that the user's repository has dropped: once more, from nothing.
  await scratch.reset();
  try {
    return { ...(await taking.take()), retake };
  } catch (error) {
    throw error instanceof GitError ? cannotTake(workspace, error) : error;
  }
}

function cannotTake(workspace: Workspace, cause: GitError): CiError {
  return new CiError('invalid', `Cannot take snapshot of ${quote(workspace.root)} as ${cause.message}`, { cause });
}
