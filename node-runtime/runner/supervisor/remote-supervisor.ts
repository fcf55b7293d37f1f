import { attemptFolder } from '../../../shared/node-workspace.ts';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { CiError } from '../../../shared/errors.ts';
import type { Renewal } from '../../cluster/session.ts';
import { type Clock, deadline, neverAborted } from '../../system/clock.ts';
import {
  type Isolation,
  type Sandbox,
  type SandboxedAttempt,
  type SandboxFolders,
  SandboxLost,
  type Supervisor,
} from '../sandbox.ts';
import { bubblewrapHolder, bubblewrapLayout, INSIDE } from './bubblewrap.ts';
import { killProcesses } from './kill-processes.ts';
import type { SandboxPlan } from './messages.ts';
import { NumberPool } from './number-pool.ts';
import type { OwnPlace } from './own-place.ts';
import { PipePool, pipeFolder } from './pipe-pool.ts';
import { findMarked, userOf } from './process-marks.ts';
import { RemoteSandbox } from './remote-sandbox.ts';
import { makeFolders, removeEmptyFolders, removeTree } from './sandbox-folders.ts';
import type { SupervisorChannel } from './supervisor-channel.ts';
import { USERS_IN_BLOCK } from './user-block.ts';

/** What nothing else is known to use. The kernel's own range ends at 1000: most likely to be killed. */
const OOM_SCORES = { first: 601, count: 349 };
/** How long a supervisor may take to kill everything and end, in milliseconds. */
const END_LIMIT_MS = 20_000;

export interface RemoteSupervisorParts {
  readonly place: OwnPlace;
  readonly channel: SupervisorChannel;
  /** The shell that started the supervisor and ends after it. */
  readonly launcher: ChildProcess;
  /** The supervisor itself. */
  readonly pid: number;
  /** The first of the user ids that its sandboxes get; undefined where they run as the node's user. */
  readonly firstUser: number | undefined;
  /** What all its tasks carry, if the machine has such a thing. */
  readonly tag: number | undefined;
  readonly clock: Clock;
}

/** The node's side of a supervisor process: it makes and removes folders, and asks the process for the rest. */
export class RemoteSupervisor implements Supervisor {
  readonly #parts: RemoteSupervisorParts;
  readonly #pipes: PipePool;
  readonly #lost = new AbortController();
  readonly #removals = new Set<Promise<void>>();
  readonly #open = new Map<number, SandboxPlan>();
  readonly #users: NumberPool | undefined;
  readonly #oomScores = new NumberPool(OOM_SCORES.first, OOM_SCORES.count);
  #lastNumber = 0;
  #isEnding = false;

  constructor(parts: RemoteSupervisorParts) {
    this.#parts = parts;
    this.#pipes = new PipePool(pipeFolder(parts.place.folder), parts.place.pipes);
    this.#users = parts.firstUser === undefined ? undefined : new NumberPool(parts.firstUser, USERS_IN_BLOCK);
    const { closed } = parts.channel;
    if (closed.aborted) this.#lost.abort(lost(closed.reason));
    closed.addEventListener('abort', () => void this.#lose());
  }

  get isolation(): Isolation {
    return this.#parts.place.detected.isolation;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async open({ task, fence, lease, folder: kept }: SandboxedAttempt): Promise<Sandbox> {
    const { channel, place } = this.#parts;
    if (channel.closed.aborted) throw channel.closed.reason;
    const folder = kept ?? join(place.folder, attemptFolder(task, fence));
    const plan = { number: ++this.#lastNumber, lease, folder: `${folder}/`, ...this.#takeIdentity(`${folder}/`) };
    try {
      const folders = makeFolders(folder, plan.user);
      const sandbox: SandboxPlan = { ...plan, ...this.#bubblewrap(folders) };
      this.#open.set(plan.number, sandbox);
      channel.tell({ kind: 'open', sandbox });
      const inside = this.isolation === 'bubblewrap' ? INSIDE : folders;
      const close = () => this.#close(plan, kept === undefined ? folder : undefined);
      const { number, user } = plan;
      const pipes = this.#pipes;
      return new RemoteSandbox({ number, folders, inside, user, channel, pipes, close, lost: this.lost });
    } catch (error) {
      this.#close(plan, kept === undefined ? folder : undefined);
      throw error;
    }
  }

  renewed(renewal: Renewal): void {
    this.#parts.channel.tell({ kind: 'renewed', ...renewal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { channel, place } = this.#parts;
    this.#isEnding = true;
    channel.end();
    await this.#ended();
    await Promise.all(this.#removals);
    await removeTree(place.folder);
  }

  /** Waits for the process; one that does not end by itself, since it was stopped or hangs, is killed with its tasks. */
  async #ended(): Promise<void> {
    const { launcher, pid, clock } = this.#parts;
    if (launcher.exitCode !== null || launcher.signalCode !== null) return;
    const exit = new Promise(resolve => launcher.once('exit', resolve));
    using limit = deadline(clock, END_LIMIT_MS, neverAborted);
    limit.signal.addEventListener('abort', () => process.kill(pid, 'SIGKILL'));
    await exit;
  }

  #takeIdentity(folder: string): Pick<SandboxPlan, 'oomScore' | 'user' | 'marks'> {
    const { tag } = this.#parts;
    const user = this.#users?.take();
    const oomScore = this.#oomScores.take();
    if (oomScore === undefined || (this.#users && user === undefined))
      throw new CiError('unavailable', `Cannot open a sandbox as too many are open: ${this.#open.size}`);
    if (user !== undefined) return { oomScore, user, marks: { kind: 'user', user } };
    return { oomScore, marks: tag === undefined ? { kind: 'folder', folder } : { kind: 'tag', tag, oomScore } };
  }

  #bubblewrap(folders: SandboxFolders): Pick<SandboxPlan, 'bubblewrap'> {
    const { detected, system } = this.#parts.place;
    const program = detected.bubblewrap;
    if (program === undefined) return {};
    return { bubblewrap: { program, holder: bubblewrapHolder(system), layout: bubblewrapLayout(system, folders) } };
  }

  /** Its processes are dead. What it was known by is given to another when its files are gone too. */
  #close(plan: Pick<SandboxPlan, 'number' | 'oomScore' | 'user'>, folder: string | undefined): void {
    const release = () => {
      this.#oomScores.give(plan.oomScore);
      if (plan.user !== undefined) this.#users?.give(plan.user);
    };
    this.#open.delete(plan.number);
    if (folder === undefined || removeEmptyFolders(folder)) release();
    else this.#remove(folder, release);
  }

  /** What cannot be removed is tried again when a later node starts. */
  #remove(folder: string, release: () => void): void {
    const removal = removeTree(folder)
      .then(release, () => undefined)
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  /** The launcher has killed what it could find; here more is known of what to look for. */
  async #lose(): Promise<void> {
    if (this.#isEnding) return;
    const { clock, channel } = this.#parts;
    const kills = [...this.#open.values()].map(({ marks }) =>
      killProcesses(after => findMarked(marks, after), clock, userOf(marks)),
    );
    await Promise.allSettled(kills);
    this.#lost.abort(lost(channel.closed.reason));
  }
}

function lost(cause: unknown): SandboxLost {
  return new SandboxLost('crashed', 'The supervisor process was lost', { cause });
}
