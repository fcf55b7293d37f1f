import { spawn, spawnSync } from 'node:child_process';
import { type Clock, neverAborted } from '../../system/clock.ts';
import {
  lastProcess,
  listProcesses,
  type ProcessInfo,
  readEnvironment,
  readOomScore,
  readProcess,
  readUser,
} from './proc.ts';

/** How long the kernel has for ending processes that were killed, in milliseconds. */
const KILL_LIMIT_MS = 10_000;
const FREEZE_LIMIT_MS = 5000;
/** No machine gives out all its process ids in less than this. */
const WRAP_MS = 1000;
/** After so many rounds somebody forks faster than one by one can be killed. */
const PATIENT_ROUNDS = 5;

/** By what the processes of a sandbox are known. */
export interface Marks {
  /** A user of their own: then nothing else is needed. */
  readonly user?: number;
  /** A path, with a slash at its end, that begins the HOME, TMPDIR or SIMPLE_CI_SANDBOX of its processes and of no others. */
  readonly folder: string;
  /** Inherited by all descendants, and by no process of another sandbox that is known here. */
  readonly oomScore?: number;
}

/**
 * All processes that were ever started by some commands, whatever they did to get away: those of the user they have to
 * themselves; else their descendants, their sessions, and whoever carries their marks.
 */
export class ProcessTree {
  readonly #marks: Marks;
  readonly #clock: Clock;
  /** Commands, which are leaders of their sessions. */
  readonly #leaders = new Set<number>();
  #first: { readonly pid: number; readonly at: number } | undefined;
  #stopped: ProcessInfo[] = [];

  constructor(marks: Marks, clock: Clock) {
    this.#marks = marks;
    this.#clock = clock;
  }

  /** A command that was started as the leader of a session. */
  add(pid: number): void {
    this.#first ??= { pid, at: this.#clock.monotonic() };
    this.#leaders.add(pid);
  }

  /** A leader that has ended: its pid may be given to others, so its session counts only where nothing better is known. */
  ended(pid: number): void {
    if (this.#marks.user !== undefined || this.#marks.oomScore !== undefined) this.#leaders.delete(pid);
  }

  /** Those that live; a process that is dead but not yet noticed by its parent is not among them. */
  members(): ProcessInfo[] {
    if (process.platform !== 'linux') return membersByPs(this.#leaders);
    return this.#find(this.#candidates()).filter(({ state }) => state !== 'Z' && state !== 'X');
  }

  /** Sends a signal to each of them but `except`. */
  signal(signal: NodeJS.Signals, except: ReadonlySet<number> = new Set()): void {
    for (const { pid } of this.members()) if (!except.has(pid)) send(pid, signal);
  }

  /** Resolves when none is left; rejects with their pids when some will not die. */
  async kill(): Promise<void> {
    const limit = this.#clock.monotonic() + KILL_LIMIT_MS;
    for (let round = 0; ; round++) {
      const members = this.members();
      if (members.length === 0) return;
      for (const { pid } of members) send(pid, 'SIGKILL');
      if (round >= PATIENT_ROUNDS) await this.#killUser();
      if (this.#clock.monotonic() > limit)
        throw new Error(`Cannot kill all processes of the sandbox as some do not end: ${pids(members)}`);
      await this.#clock.sleep(Math.min(2 ** round, 50), neverAborted);
    }
  }

  /** Stops each where it stands. Resolves when nothing of it runs. */
  async freeze(): Promise<void> {
    const limit = this.#clock.monotonic() + FREEZE_LIMIT_MS;
    const stopped = new Map<number, ProcessInfo>(this.#stopped.map(process => [process.pid, process]));
    for (let round = 0; ; round++) {
      const running = this.members().filter(({ state }) => state !== 'T' && state !== 't');
      for (const process of running) if (send(process.pid, 'SIGSTOP')) stopped.set(process.pid, process);
      this.#stopped = [...stopped.values()];
      if (running.length === 0 && round > 0) return;
      if (this.#clock.monotonic() > limit)
        throw new Error(`Cannot freeze all processes of the sandbox as some do not stop: ${pids(running)}`);
      await this.#clock.sleep(1, neverAborted);
    }
  }

  /** Lets go on what `freeze` has stopped; what had stopped by itself stays so. */
  thaw(): void {
    for (const { pid, started } of this.#stopped) if (readStarted(pid) === started) send(pid, 'SIGCONT');
    this.#stopped = [];
  }

  /** Pids are given out in a ring: of young commands, all descendants lie between the first and the last one given. */
  #candidates(): number[] {
    if (!this.#first) return [];
    const { pid, at } = this.#first;
    const last = lastProcess();
    if (this.#clock.monotonic() - at > WRAP_MS || !(last >= pid)) return listProcesses();
    return Array.from({ length: last - pid + 1 }, (_, index) => pid + index);
  }

  #find(candidates: readonly number[]): ProcessInfo[] {
    const { user } = this.#marks;
    if (user === undefined) return this.#findByMarks(candidates);
    return candidates.filter(pid => readUser(pid) === user).flatMap(pid => readProcess(pid) ?? []);
  }

  #findByMarks(candidates: readonly number[]): ProcessInfo[] {
    const processes = candidates.flatMap(pid => readProcess(pid) ?? []);
    const found = new Set<ProcessInfo>();
    for (const process of processes)
      if (this.#leaders.has(process.pid) || this.#leaders.has(process.session) || this.#isMarked(process.pid))
        found.add(process);
    return withDescendants(found, processes);
  }

  #isMarked(pid: number): boolean {
    const { folder, oomScore } = this.#marks;
    if (oomScore !== undefined && readOomScore(pid) === oomScore && readUser(pid) === process.getuid?.()) return true;
    const environment = readEnvironment(pid);
    return environment !== undefined && isOf(folder, environment);
  }

  /** Everything that this user runs, at one blow. Only where the user is the sandbox's own. */
  #killUser(): Promise<void> {
    const { user } = this.#marks;
    if (user === undefined) return Promise.resolve();
    return new Promise(resolve => {
      const child = spawn('/bin/sh', ['-c', 'kill -9 -1'], { uid: user, gid: user, stdio: 'ignore', env: {} });
      child.on('exit', () => resolve());
      child.on('error', () => resolve());
    });
  }
}

/** Whether an environment says that it is of a sandbox in this folder. */
export function isOf(folder: string, environment: string): boolean {
  return ['HOME', 'TMPDIR', 'SIMPLE_CI_SANDBOX'].some(name => environment.includes(`\0${name}=${folder}`));
}

function withDescendants(found: Set<ProcessInfo>, processes: readonly ProcessInfo[]): ProcessInfo[] {
  const children = Map.groupBy(processes, ({ parent }) => parent);
  for (const process of found) for (const child of children.get(process.pid) ?? []) found.add(child);
  return [...found];
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

function readStarted(pid: number): string | undefined {
  return process.platform === 'linux' ? readProcess(pid)?.started : '';
}

/** Without /proc: descendants and process groups only. What leaves both gets away. */
function membersByPs(leaders: ReadonlySet<number>): ProcessInfo[] {
  if (leaders.size === 0) return [];
  const { stdout } = spawnSync('ps', ['-axo', 'pid=,ppid=,pgid=,state='], { encoding: 'utf8' });
  const processes = stdout.split('\n').flatMap(line => {
    const [pid, parent, session, state] = line.trim().split(/\s+/);
    return state ? [{ pid: +pid!, parent: +parent!, session: +session!, state: state[0]!, started: '' }] : [];
  });
  const found = new Set(processes.filter(({ pid, session }) => leaders.has(pid) || leaders.has(session)));
  return withDescendants(found, processes).filter(({ state }) => state !== 'Z');
}

function pids(processes: readonly ProcessInfo[]): string {
  return processes.map(({ pid }) => pid).join(', ');
}
