import { spawn } from 'node:child_process';
import { type Clock, neverAborted } from '../../system/clock.ts';
import { lastProcess, type ProcessInfo } from './proc.ts';

/** How long the kernel has for ending processes that were killed, in milliseconds. */
const KILL_LIMIT_MS = 10_000;
/** After so many rounds somebody forks faster than one by one can be killed. */
const PATIENT_ROUNDS = 5;
const CHASE_TURNS = 100;

/**
 * Kills what `find` finds until it finds nothing more. Rejects with their pids when some will not die.
 * @param find given a pid, it looks only among those given out after that
 * @param user whose processes all are to be killed, if they are those of one user
 */
export async function killProcesses(
  find: (after?: number) => ProcessInfo[],
  clock: Clock,
  user?: number,
): Promise<void> {
  const limit = clock.monotonic() + KILL_LIMIT_MS;
  for (let round = 0; ; round++) {
    const last = lastProcess();
    const found = find();
    if (found.length === 0) return;
    for (const { pid } of found) send(pid, 'SIGKILL');
    chase(find, last);
    if (user !== undefined && round >= PATIENT_ROUNDS) await killUser(user);
    if (clock.monotonic() > limit)
      throw new Error(`Cannot kill all processes of the sandbox as some do not end: ${pids(found)}`);
    await clock.sleep(Math.min(2 ** round, 50), neverAborted);
  }
}

/**
 * Kills what was started while the others were looked for, and while these were: each look is at fewer pids and so faster than
 * the last, until no fork is as fast.
 */
function chase(find: (after: number) => ProcessInfo[], from: number): void {
  for (let after = from, turn = 0; turn < CHASE_TURNS; turn++) {
    const last = lastProcess();
    const found = last > after ? find(after) : [];
    if (found.length === 0) return;
    for (const { pid } of found) send(pid, 'SIGKILL');
    after = last;
  }
}

/** Tells whether there was such a process that we may signal. */
export function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

export function pids(processes: readonly ProcessInfo[]): string {
  return processes.map(({ pid }) => pid).join(', ');
}

/** Everything that this user runs, at one blow: no fork is fast enough for that. */
function killUser(user: number): Promise<void> {
  return new Promise(resolve => {
    const child = spawn('/bin/sh', ['-c', 'kill -9 -1'], { uid: user, gid: user, stdio: 'ignore', env: {} });
    child.on('exit', () => resolve());
    child.on('error', () => resolve());
  });
}
