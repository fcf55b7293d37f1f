import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** A process as /proc tells of it. */
export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  /** One letter: Z is dead and not yet taken note of by its parent, T is stopped. That of a thread that lives, if one does. */
  readonly state: string;
  /** Clock ticks after the machine's start: with the pid, a name that is never used again. */
  readonly started: string;
}

/** Undefined when there is no such process any more. */
export function readProcess(pid: number | string): ProcessInfo | undefined {
  // Asking first is cheaper than the error of reading what is not there.
  const fields = existsSync(`/proc/${pid}`) ? readFields(`/proc/${pid}/stat`) : undefined;
  if (!fields) return undefined;
  const [state, parent, , session] = fields as [string, ...string[]];
  const goesOn = state === 'Z' && Number(fields[17]) > 1;
  return {
    pid: Number(pid),
    parent: Number(parent),
    session: Number(session),
    state: goesOn ? stateOfThreads(pid) : state,
    started: fields[19]!,
  };
}

/** A process whose first thread has ended looks dead, but lives on in the others. */
function stateOfThreads(pid: number | string): string {
  try {
    const threads = listNumbers(`/proc/${pid}/task`);
    const states = threads.flatMap(thread => readFields(`/proc/${pid}/task/${thread}/stat`)?.[0] ?? []);
    return states.find(state => state !== 'Z' && state !== 'X') ?? 'Z';
  } catch {
    return 'X';
  }
}

/** From the third on: the second is the program's name in brackets, which may hold anything. */
function readFields(path: string): string[] | undefined {
  const text = readText(path);
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields && fields.length >= 20 ? fields : undefined;
}

/** The real user id. */
export function readUser(pid: number): number | undefined {
  if (!existsSync(`/proc/${pid}`)) return undefined;
  const line = readText(`/proc/${pid}/status`)?.match(/^Uid:\t(\d+)/m);
  return line ? Number(line[1]) : undefined;
}

/** The environment that it was started with, entries between NULs; undefined when gone or not ours to read. */
export function readEnvironment(pid: number): string | undefined {
  const text = readText(`/proc/${pid}/environ`, 'latin1');
  return text === undefined ? undefined : `\0${text}`;
}

export function readOomScore(pid: number): number {
  return Number(readText(`/proc/${pid}/oom_score_adj`));
}

/** The limit on real-time programs, in microseconds: NaN where there is none. */
export function readTag(pid: number | 'self'): number {
  return Number(readText(`/proc/${pid}/limits`)?.match(/^Max realtime timeout\s+(\d+)/m)?.[1]);
}

export function listProcesses(): number[] {
  return listNumbers('/proc');
}

function listNumbers(path: string): number[] {
  return readdirSync(path)
    .filter(name => name >= '0' && name <= '9~')
    .map(Number);
}

/** The process id that was given out last; NaN where the system does not tell. */
export function lastProcess(): number {
  return Number(readText('/proc/loadavg')?.split(' ')[4]);
}

function readText(path: string, encoding: BufferEncoding = 'utf8'): string | undefined {
  try {
    return readFileSync(path, encoding);
  } catch {
    return undefined;
  }
}
