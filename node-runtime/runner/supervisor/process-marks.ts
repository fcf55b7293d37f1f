import {
  listProcesses,
  type ProcessInfo,
  readEnvironment,
  readOomScore,
  readProcess,
  readTag,
  readUser,
} from './proc.ts';

/** By what the processes of a sandbox, or of all sandboxes of a node, are known, whoever their parents are. */
export type Marks =
  /** A user of their own: nothing gets away. */
  | { readonly kind: 'user'; readonly user: number }
  /**
   * Two things that are handed down to whatever a process starts: a limit on the time of real-time programs, which is so high
   * that it limits nothing and a number that no other node has drawn, and a score for when memory runs out. Who has changed
   * them on purpose gets away.
   */
  | { readonly kind: 'tag'; readonly tag: number; readonly oomScore?: number }
  /** Where the system has no such things: a path, with a slash at its end, that begins HOME, TMPDIR or SIMPLE_CI_SANDBOX. */
  | { readonly kind: 'folder'; readonly folder: string };

/** Whether a process of this machine carries them. */
export function isMarked(pid: number, marks: Marks): boolean {
  switch (marks.kind) {
    case 'user':
      return readUser(pid) === marks.user;
    case 'tag':
      if (marks.oomScore !== undefined && readOomScore(pid) !== marks.oomScore) return false;
      return readTag(pid) === marks.tag;
    case 'folder': {
      const environment = readEnvironment(pid);
      return NAMES.some(name => environment?.includes(`\0${name}=${marks.folder}`));
    }
  }
}

const NAMES = ['HOME', 'TMPDIR', 'SIMPLE_CI_SANDBOX'];

/** All living processes of this machine that carry them, but ourselves; given a pid, only those with a larger one. */
export function findMarked(marks: Marks, after = 0): ProcessInfo[] {
  if (process.platform !== 'linux') return [];
  return listProcesses()
    .filter(pid => pid > after)
    .filter(pid => pid !== process.pid && isMarked(pid, marks))
    .flatMap(pid => readProcess(pid) ?? [])
    .filter(isAlive);
}

/** A process that is dead but not yet noticed by its parent does nothing any more. */
export function isAlive({ state }: ProcessInfo): boolean {
  return state !== 'Z' && state !== 'X';
}

/** The user whose processes all carry them, if they are such marks. */
export function userOf(marks: Marks): number | undefined {
  return marks.kind === 'user' ? marks.user : undefined;
}
