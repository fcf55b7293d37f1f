import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { listProcesses, readUser } from './proc.ts';

/** User ids that no system gives to anybody; where a container maps only 65,536 ids, the ones between systemd's ranges. */
const WIDE = { first: 70_000, blocks: 100 };
const NARROW = { first: 60_706, blocks: 1 };
export const USERS_IN_BLOCK = 256;
/** No sandbox has a user below this. */
export const LOWEST_USER = NARROW.first;

/** User ids that this process alone gives to sandboxes, among all Simple CI supervisors of this machine. */
export class UserBlock implements Disposable {
  readonly first: number;
  readonly #lock: Server;

  private constructor(first: number, lock: Server) {
    this.first = first;
    this.#lock = lock;
  }

  /** Takes a free block, and kills what a supervisor that held it before may have left running. */
  static async take(): Promise<UserBlock> {
    const { first, blocks } = mapsUser(WIDE.first + WIDE.blocks * USERS_IN_BLOCK) ? WIDE : NARROW;
    for (let block = 0; block < blocks; block++) {
      const lock = await lockBlock(first + block * USERS_IN_BLOCK);
      if (!lock) continue;
      const own = new UserBlock(first + block * USERS_IN_BLOCK, lock);
      killUsers(own.first);
      return own;
    }
    throw new Error(
      'Cannot give sandboxes users of their own as all user ids are taken by other nodes of this machine',
    );
  }

  [Symbol.dispose](): void {
    this.#lock.close();
  }
}

/** Kills all that runs as a user of the block that begins here. */
export function killUsers(first: number): void {
  for (const pid of listProcesses()) {
    const user = readUser(pid);
    if (user === undefined || user < first || user >= first + USERS_IN_BLOCK) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** A name in the abstract namespace of sockets is a lock that is released by the end of the process, however it ends. */
function lockBlock(first: number): Promise<Server | undefined> {
  return new Promise(resolve => {
    const server = createServer(socket => socket.destroy());
    server.once('error', () => resolve(undefined));
    server.listen({ path: `\0simple-ci/users/${first}` }, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** Whether this user id exists in our user namespace. */
function mapsUser(user: number): boolean {
  const lines = readFileSync('/proc/self/uid_map', 'utf8').trim().split('\n');
  return lines.some(line => {
    const [inside = 0, , count = 0] = line.trim().split(/\s+/).map(Number);
    return user >= inside && user < inside + count;
  });
}
