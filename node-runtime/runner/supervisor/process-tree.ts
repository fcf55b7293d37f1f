import { spawnSync } from 'node:child_process';
import { type Clock, neverAborted } from '../../system/clock.ts';
import { killProcesses, pids, send } from './kill-processes.ts';
import { lastProcess, listProcesses, type ProcessInfo, readProcess } from './proc.ts';
import { isAlive, isMarked, type Marks, userOf } from './process-marks.ts';

const FREEZE_LIMIT_MS = 5000;
/** After so long somebody forks faster than one generation after the other can be stopped. */
const PATIENCE_MS = 1000;
/** No machine gives out all its process ids in less than this. */
const WRAP_MS = 1000;

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
  /** Pids of what `freeze` has stopped, with when they started. */
  readonly #stopped = new Map<number, string>();

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
    if (this.#marks.kind !== 'folder') this.#leaders.delete(pid);
  }

  /** Those that live; given a pid, only those with a pid that was given out after that. */
  members(after?: number): ProcessInfo[] {
    if (!this.#first) return [];
    if (process.platform !== 'linux') return after === undefined ? findByPs(this.#leaders).filter(isAlive) : [];
    const candidates = after === undefined ? this.#candidates(this.#first) : range(after + 1, lastProcess());
    return this.#find(candidates).filter(isAlive);
  }

  /** Sends a signal to each of them but `except`. */
  signal(signal: NodeJS.Signals, except: ReadonlySet<number>): void {
    for (const { pid } of this.members()) if (!except.has(pid)) send(pid, signal);
  }

  /** Resolves when none is left; rejects with their pids when some will not die. */
  async kill(): Promise<void> {
    await killProcesses(after => this.members(after), this.#clock, userOf(this.#marks));
  }

  /**
   * Stops each where it stands. Resolves when nothing of it runs. Parents stop before their children, and go on after them: who
   * looks after stopped children, as shells with job control and su do, would stop itself too, or take the child for done.
   */
  async freeze(): Promise<void> {
    const began = this.#clock.monotonic();
    for (let round = 0; ; round++) {
      const running = this.members().filter(process => !this.#standsStill(process));
      const isPatient = this.#clock.monotonic() - began < PATIENCE_MS;
      for (const { pid, started } of isPatient ? eldest(running) : running)
        if (send(pid, 'SIGSTOP')) this.#stopped.set(pid, started);
      if (running.length === 0 && round > 0) return;
      if (this.#clock.monotonic() - began > FREEZE_LIMIT_MS)
        throw new Error(`Cannot freeze all processes of the sandbox as some do not stop: ${pids(running)}`);
      await this.#clock.sleep(1, neverAborted);
    }
  }

  /** Lets go on what `freeze` has stopped; what had stopped by itself stays so. */
  thaw(): void {
    for (const [pid, started] of [...this.#stopped].reverse()) if (!isAnother(pid, started)) send(pid, 'SIGCONT');
    this.#stopped.clear();
  }

  /**
   * Stopped, or told to stop and deep in the kernel: it stops when it comes out of there, which may take a stopped child to go
   * on (vfork waits until the child has started a program).
   */
  #standsStill({ pid, state, started }: ProcessInfo): boolean {
    return state === 'T' || state === 't' || (state === 'D' && this.#stopped.get(pid) === started);
  }

  /** Pids are given out in a ring: of young commands, all descendants lie between the first and the last one given. */
  #candidates({ pid, at }: { readonly pid: number; readonly at: number }): number[] {
    const last = lastProcess();
    if (this.#clock.monotonic() - at > WRAP_MS || !(last >= pid)) return listProcesses();
    return range(pid, last);
  }

  #find(candidates: readonly number[]): ProcessInfo[] {
    if (this.#marks.kind === 'user')
      return candidates.filter(pid => isMarked(pid, this.#marks)).flatMap(pid => readProcess(pid) ?? []);
    const processes = candidates.flatMap(pid => readProcess(pid) ?? []);
    const isLed = ({ pid, session }: ProcessInfo) => this.#leaders.has(pid) || this.#leaders.has(session);
    const found = processes.filter(process => isLed(process) || isMarked(process.pid, this.#marks));
    return withDescendants(found, processes);
  }
}

function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}

/** Those whose parents are not among them. */
function eldest(processes: readonly ProcessInfo[]): ProcessInfo[] {
  const all = new Set(processes.map(({ pid }) => pid));
  return processes.filter(({ parent }) => !all.has(parent));
}

function withDescendants(found: readonly ProcessInfo[], processes: readonly ProcessInfo[]): ProcessInfo[] {
  const children = Map.groupBy(processes, ({ parent }) => parent);
  const all = new Set(found);
  for (const process of all) for (const child of children.get(process.pid) ?? []) all.add(child);
  return [...all];
}

/** Whether the pid has been given to somebody else since. What cannot be read is gone, or is to go on all the same. */
function isAnother(pid: number, started: string): boolean {
  if (process.platform !== 'linux') return false;
  return (readProcess(pid)?.started ?? started) !== started;
}

/** Without /proc: descendants and process groups only. What leaves both gets away. */
function findByPs(leaders: ReadonlySet<number>): ProcessInfo[] {
  const { stdout } = spawnSync('ps', ['-axo', 'pid=,ppid=,pgid=,state='], { encoding: 'utf8' });
  const processes = stdout.split('\n').flatMap(line => {
    const [pid, parent, session, state] = line.trim().split(/\s+/);
    return state ? [{ pid: +pid!, parent: +parent!, session: +session!, state: state[0]!, started: '' }] : [];
  });
  const found = processes.filter(({ pid, session }) => leaders.has(pid) || leaders.has(session));
  return withDescendants(found, processes);
}
