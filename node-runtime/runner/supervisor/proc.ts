import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** A process as /proc tells of it. */
export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  /** One letter: Z is dead and not yet taken note of by its parent, T is stopped. */
  readonly state: string;
  /** Clock ticks after the machine's start: with the pid, a name that is never used again. */
  readonly started: string;
}

/** Undefined when there is no such process any more. */
export function readProcess(pid: number | string): ProcessInfo | undefined {
  // Asking first is cheaper than the error of reading what is not there.
  const text = existsSync(`/proc/${pid}`) ? readText(`/proc/${pid}/stat`) : undefined;
  // The second field is the program's name in brackets, which may hold anything.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  if (!fields || fields.length < 20) return undefined;
  return {
    pid: Number(pid),
    parent: Number(fields[1]),
    session: Number(fields[3]),
    state: fields[0]!,
    started: fields[19]!,
  };
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
  return readdirSync('/proc')
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
