import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Fence, TaskId } from '../../../shared/ids.ts';
import type { Clock } from '../../system/clock.ts';
import type { Isolation, Sandbox, Supervisor } from '../sandbox.ts';
import { bubblewrapLayout, INSIDE, type SystemFolders } from './bubblewrap.ts';
import { type Detected, detectIsolation } from './detect-isolation.ts';
import { launch } from './launcher.ts';
import type { SandboxPlan } from './messages.ts';
import { PipePool } from './pipe-pool.ts';
import { findRoot } from './find-root.ts';
import { RemoteSandbox } from './remote-sandbox.ts';
import {
  killMarked,
  makeFolders,
  makeOwnFolder,
  removeEmptyFolders,
  removeTree,
  sweepDeadNodes,
} from './sandbox-folders.ts';
import { SupervisorChannel } from './supervisor-channel.ts';
import { readSystemFolders } from './system-folders.ts';
import { killUsers, LOWEST_USER, USERS_IN_BLOCK } from './user-block.ts';

export interface SupervisorOptions {
  /** The argument list that runs `simple-ci supervise`. */
  readonly command: readonly string[];
  /** Folder for the folders of sandboxes. As root another one is taken when other users cannot get there. */
  readonly root: string;
  readonly isolation: Isolation | 'auto';
  readonly clock: Clock;
  /** Gets one sentence about how tasks are isolated. */
  readonly onNotice: (text: string) => void;
  /** Since the last renewal was sent, in milliseconds. */
  readonly freezeAfterMs?: number;
  readonly killAfterFrozenMs?: number;
}

/**
 * Starts the supervisor process of this node, and clears away what dead nodes have left under the same root.
 * @throws CiError when the isolation that was asked for does not work here, or the process cannot be started
 */
export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const isRoot = process.getuid?.() === 0 && process.platform === 'linux';
  const ownUsers = isRoot && options.isolation !== 'none';
  const root = await findRoot(options.root, ownUsers);
  await sweepDeadNodes(root, options.clock.now());
  const folder = await makeOwnFolder(root);
  if (ownUsers) await chmod(folder, 0o711);
  const [detected, started] = await Promise.allSettled([
    detect(options.isolation, folder, ownUsers),
    startProcess(options, folder, ownUsers),
  ]);
  if (detected.status === 'rejected' || started.status === 'rejected') {
    if (started.status === 'fulfilled') started.value.channel.end();
    await rm(folder, { recursive: true, force: true });
    throw detected.status === 'rejected' ? detected.reason : (started as PromiseRejectedResult).reason;
  }
  options.onNotice(detected.value.notice);
  return new RemoteSupervisor({ ...started.value, ...detected.value, folder });
}

async function detect(wanted: Isolation | 'auto', folder: string, ownUsers: boolean) {
  const system = await readSystemFolders(join(folder, 'system'));
  const detected = await detectIsolation(wanted, system, ownUsers ? LOWEST_USER : undefined);
  return { ...detected, system };
}

interface StartedProcess {
  readonly channel: SupervisorChannel;
  readonly child: ChildProcess;
  readonly pipes: PipePool;
  /** The first of the user ids that its sandboxes get; undefined where they run as the node's user. */
  readonly firstUser: number | undefined;
}

async function startProcess(
  { command, freezeAfterMs = 20_000, killAfterFrozenMs = 600_000 }: SupervisorOptions,
  folder: string,
  ownUsers: boolean,
): Promise<StartedProcess> {
  const pipes = new PipePool(await mkdtemp(join(folder, 'pipes-')));
  const [program, ...args] = launch(command, `${folder}/`);
  const child = spawn(program, args, {
    cwd: '/',
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    detached: true,
  });
  child.on('error', () => undefined);
  const channel = new SupervisorChannel(child.stdio[3] as Duplex);
  const [begun] = await Promise.all([
    channel.ask({ kind: 'begin', freezeAfterMs, killAfterFrozenMs, ownUsers }),
    pipes.fill(),
  ]);
  if (begun.kind !== 'begun') throw new Error(`Cannot understand the supervisor's first answer: ${begun.kind}`);
  return { channel, child, pipes, firstUser: ownUsers ? begun.firstUser : undefined };
}

type Parts = StartedProcess & Detected & { readonly system: SystemFolders; readonly folder: string };

class RemoteSupervisor implements Supervisor {
  readonly #parts: Parts;
  readonly #lost = new AbortController();
  readonly #removals = new Set<Promise<void>>();
  readonly #users = new Set<number>();
  #lastNumber = 0;
  #isEnding = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { closed } = parts.channel;
    closed.addEventListener('abort', () => this.#lose());
    if (closed.aborted) this.#lose();
  }

  get isolation(): Isolation {
    return this.#parts.isolation;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async open({ task, fence }: { task: TaskId; fence: Fence }): Promise<Sandbox> {
    const { channel, pipes, isolation } = this.#parts;
    const number = ++this.#lastNumber;
    const user = this.#takeUser();
    const folder = join(this.#parts.folder, `${task}-${fence}`);
    const remove = () => this.#remove(folder, user);
    try {
      const folders = makeFolders(folder, user);
      const bubblewrap = this.#bubblewrap(folders);
      const plan: SandboxPlan = {
        number,
        folder: `${folder}/`,
        ...(user !== undefined && { user }),
        ...(bubblewrap && { bubblewrap }),
      };
      channel.tell({ kind: 'open', sandbox: plan });
      const inside = isolation === 'bubblewrap' ? INSIDE : folders;
      return new RemoteSandbox({ number, folders, inside, user, channel, pipes, remove });
    } catch (error) {
      remove();
      throw error;
    }
  }

  renewed(sentAt: number): void {
    this.#parts.channel.tell({ kind: 'renewed', sentAt });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { channel, child, folder } = this.#parts;
    this.#isEnding = true;
    channel.end();
    if (child.exitCode === null && child.signalCode === null) await new Promise(resolve => child.once('exit', resolve));
    await Promise.all(this.#removals);
    await removeTree(folder);
  }

  #bubblewrap(folders: Parameters<typeof bubblewrapLayout>[1]): SandboxPlan['bubblewrap'] {
    const { bubblewrap, system } = this.#parts;
    return bubblewrap === undefined ? undefined : { program: bubblewrap, layout: bubblewrapLayout(system, folders) };
  }

  #takeUser(): number | undefined {
    const { firstUser } = this.#parts;
    if (firstUser === undefined) return undefined;
    for (let user = firstUser; user < firstUser + USERS_IN_BLOCK; user++) {
      if (this.#users.has(user)) continue;
      this.#users.add(user);
      return user;
    }
    throw new Error(`Cannot open more than ${USERS_IN_BLOCK} sandboxes at a time`);
  }

  /** A user is given to the next sandbox only when no file of the last one is left. */
  #remove(folder: string, user: number | undefined): void {
    if (removeEmptyFolders(folder)) {
      if (user !== undefined) this.#users.delete(user);
      return;
    }
    const removal = removeTree(folder)
      .then(() => {
        if (user !== undefined) this.#users.delete(user);
      })
      // What is left is swept at a later start.
      .catch(() => undefined)
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  #lose(): void {
    if (this.#isEnding) return;
    const { folder, firstUser } = this.#parts;
    killMarked(`${folder}/`);
    if (firstUser !== undefined) killUsers(firstUser);
    this.#lost.abort(this.#parts.channel.closed.reason);
  }
}
