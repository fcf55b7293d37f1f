import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../../system/clock.ts';
import { killProcesses } from './kill-processes.ts';
import { listProcesses, type ProcessInfo, readProcess, readUser } from './proc.ts';
import { isAlive } from './process-marks.ts';

/** User ids that no system gives to anybody; where a container maps only 65,536 ids, some between systemd's ranges. */
const WIDE = { first: 70_000, blocks: 100 };
const NARROW = { first: 60_706, blocks: 1 };
export const USERS_IN_BLOCK = 256;
/** No sandbox has a user below this. */
export const LOWEST_USER = NARROW.first;
/** No sandbox has a user above this. */
export const HIGHEST_USER = WIDE.first + WIDE.blocks * USERS_IN_BLOCK - 1;
const LOCKS = '/run/simple-ci';

/** User ids that this process alone gives to sandboxes, among all supervisors of this machine, until it ends. */
export interface UserBlock {
  readonly first: number;
  /** A lock on a file, which the end of the process releases, however it ends. Held for as long as it is referred to. */
  readonly lock: DatabaseSync;
}

/** Takes the first free block, and kills what its last owner may have left running. For root only. */
export async function takeUserBlock(clock: Clock): Promise<UserBlock> {
  mkdirSync(LOCKS, { recursive: true, mode: 0o700 });
  const { first, blocks } = mapsUser(WIDE.first + WIDE.blocks * USERS_IN_BLOCK) ? WIDE : NARROW;
  for (let block = 0; block < blocks; block++) {
    const own = await lockUserBlock(first + block * USERS_IN_BLOCK);
    if (!own) continue;
    await killProcesses(after => findUsers(own.first, after), clock);
    return own;
  }
  throw new Error(
    'Cannot give tasks users of their own as all user ids for that are taken by other nodes of this machine',
  );
}

/** The block of a user. */
export function blockOf(user: number): number {
  const { first } = user >= WIDE.first ? WIDE : NARROW;
  return first + Math.floor((user - first) / USERS_IN_BLOCK) * USERS_IN_BLOCK;
}

/** Undefined when another process has it. Loaded late: a supervisor whose tasks run as its own user does without SQLite. */
export async function lockUserBlock(first: number): Promise<UserBlock | undefined> {
  const { DatabaseSync } = await import('node:sqlite');
  const lock = new DatabaseSync(join(LOCKS, `users-${first}`), { timeout: 0 });
  try {
    lock.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE');
    return { first, lock };
  } catch {
    lock.close();
    return undefined;
  }
}

function findUsers(first: number, after = 0): ProcessInfo[] {
  const isOurs = (user = 0) => user >= first && user < first + USERS_IN_BLOCK;
  return listProcesses()
    .filter(pid => pid > after && isOurs(readUser(pid)))
    .flatMap(pid => readProcess(pid) ?? [])
    .filter(isAlive);
}

/** Whether this user id exists in our user namespace. */
function mapsUser(user: number): boolean {
  const lines = readFileSync('/proc/self/uid_map', 'utf8').trim().split('\n');
  return lines.some(line => {
    const [inside = 0, , count = 0] = line.trim().split(/\s+/).map(Number);
    return user >= inside && user < inside + count;
  });
}
