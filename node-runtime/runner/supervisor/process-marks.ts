import { listProcesses, type ProcessInfo, readEnvironment, readOomScore, readProcess, readUser } from './proc.ts';

/** By what the processes of a sandbox are known, whoever their parents are. */
export interface Marks {
  /** A user of their own: then nothing else is needed, and nothing gets away. */
  readonly user?: number;
  /** A path, with a slash at its end, that begins the HOME, TMPDIR or SIMPLE_CI_SANDBOX of its processes and of no others. */
  readonly folder: string;
  /** Inherited by whatever they start, and by no process of another sandbox of the same node. */
  readonly oomScore?: number;
}

/** Whether a process of this machine carries them. */
export function isMarked(pid: number, { user, folder, oomScore }: Marks): boolean {
  if (user !== undefined) return readUser(pid) === user;
  if (oomScore !== undefined && readOomScore(pid) === oomScore && readUser(pid) === process.getuid?.()) return true;
  const environment = readEnvironment(pid);
  return environment !== undefined && NAMES.some(name => environment.includes(`\0${name}=${folder}`));
}

const NAMES = ['HOME', 'TMPDIR', 'SIMPLE_CI_SANDBOX'];

/** All living processes of this machine that carry them. */
export function findMarked(marks: Marks): ProcessInfo[] {
  if (process.platform !== 'linux') return [];
  return listProcesses()
    .filter(pid => isMarked(pid, marks))
    .flatMap(pid => readProcess(pid) ?? [])
    .filter(isAlive);
}

/** A process that is dead but not yet noticed by its parent does nothing any more. */
export function isAlive({ state }: ProcessInfo): boolean {
  return state !== 'Z' && state !== 'X';
}
