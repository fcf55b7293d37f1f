import { CiError } from '../../shared/errors.ts';
import type { Fence, TaskId } from '../../shared/ids.ts';
import type { Renewal } from '../cluster/session.ts';
import type { LeaseId } from '../store/store.ts';

/**
 * How well a task is kept away from the node that runs it.
 * - `bubblewrap`: own process, mount, IPC and user namespaces; sees the system read-only and its own folders only.
 * - `user`: another user id than the node's; cannot read the node's files or /proc entries.
 * - `none`: the node's own user. Only for tasks one trusts like oneself; said plainly at start.
 */
export type Isolation = 'bubblewrap' | 'user' | 'none';
/** How tasks of a node are kept away from it, as it tells the cluster: in processes of its own machine, or each in a pod. */
export type Place = Isolation | 'pod';

/**
 * The node's side of its supervisor: a separate small process that owns every task process of this node, so that a node that
 * is paused or dead cannot leave tasks running. It holds no credentials.
 *
 * - Not told of a renewal of its lease for 20 s, it freezes a sandbox; a frozen one runs on after `thaw`, and is killed after 10 min.
 * - Nothing begins or goes on meanwhile, whatever the node says: it may have been stopped between its last look at the lock and
 *   that. A command waits for the next renewal of that lease, a thaw is refused.
 * - When the node's end of its pipe closes, it kills everything and exits.
 */
export interface Supervisor extends AsyncDisposable {
  readonly isolation: Place;
  /**
   * Makes the folders of an attempt, owned by the user its commands will run as.
   * @throws CiError `unavailable` when the supervisor is lost or has as many sandboxes as it can have
   */
  open(attempt: SandboxedAttempt, signal?: AbortSignal): Promise<Sandbox>;
  /** Tells of each renewal that etcd has acknowledged: of which lease, and when it was *sent*. */
  renewed(renewal: Renewal): void;
  /** Fires if the supervisor process itself is lost: all its tasks are dead, and nothing more can be run. Its reason is a SandboxLost. */
  readonly lost: AbortSignal;
}

export interface SandboxedAttempt {
  readonly task: TaskId;
  readonly fence: Fence;
  /** That its claim stands under. */
  readonly lease: LeaseId;
  /** No other attempt of the task can have been begun before. */
  readonly isFirst?: boolean;
  /** What it needs of a place that is made for it alone. */
  readonly needs?: PlaceNeeds;
  /** Where its folders shall be, and stay when it ends. Absent: where the supervisor likes. */
  readonly folder?: string;
}

export interface PlaceNeeds {
  /** The container image that its steps run in. Absent: that of the node. */
  readonly image: string | undefined;
  readonly slots: number;
  /** Of all of the task. */
  readonly timeoutMs: number;
}

/** Why a sandbox is gone with all that ran in it, and whom that is charged to. */
export class SandboxLost extends CiError {
  readonly end: 'crashed' | 'infrastructure' | 'place';
  constructor(end: 'crashed' | 'infrastructure' | 'place', message: string, options?: ErrorOptions) {
    super('unavailable', message, options);
    this.end = end;
  }
}

/**
 * Where one attempt's commands run, one after the other; what a command leaves running goes on until the sandbox is killed.
 * Disposing of it kills all that ever ran in it, ends outputs that are still read, and removes its folders, large ones in the
 * background: disposing of the supervisor waits for that. Once the supervisor is lost, all of these do nothing, quietly.
 */
export interface Sandbox extends AsyncDisposable {
  /** Paths as the node sees them, all empty at first. */
  readonly folders: SandboxFolders;
  /** The same folders as commands see them. */
  readonly inside: SandboxFolders;
  /**
   * Gives a file or tree that the node has put under `folders` to the user that commands run as. Only before the first
   * command: afterwards, what lies there may be links that the task has made.
   */
  adopt(path: string): Promise<void>;
  /** Fires when it is gone without having been disposed of: nothing of it runs any more. Its reason is a SandboxLost. */
  readonly lost: AbortSignal;
  /**
   * To be called once, between the node's own commands and those of the task. Rejects with `invalid` when what the task needs
   * can never be had.
   */
  handOver(signal: AbortSignal): Promise<void>;
  /** What the task's commands find there. To be asked for after `handOver`. */
  system(): Promise<SandboxSystem>;
  /**
   * Sees to it that the files of the workspace that patterns of artifacts match can be read under `folders`. When nothing runs
   * in it any more. Rejects with `invalid` for what the task got wrong.
   */
  bringBack(patterns: readonly string[], signal: AbortSignal): Promise<void>;
  /** Starts a command, or has it wait until it may begin. One at a time. */
  run(command: Command): RunningCommand;
  /** Stops everything in the sandbox where it stands; a command that is run then starts at `thaw`. Safe to repeat. */
  freeze(): Promise<void>;
  /** @throws CiError `unavailable` when the supervisor cannot know that the claim still stands: to be asked again */
  thaw(): Promise<void>;
  /**
   * How many of the milliseconds since then (`Clock.monotonic`) everything in it has stood still, be it by `freeze` or by the
   * supervisor's own rule. Only the supervisor knows.
   */
  stoodStill(since: number): Promise<number>;
  /** Kills every process that was ever started in it, also those that left their parent's session. Resolves when none is left. Others may be run then. */
  kill(): Promise<void>;
}

export interface SandboxSystem {
  /** The environment that commands get before anything else is put into it: PATH at least. */
  readonly env: Readonly<Record<string, string>>;
  readonly hasBash: boolean;
}

export interface SandboxFolders {
  readonly workspace: string;
  readonly home: string;
  readonly tmp: string;
}

export interface Command {
  readonly argv: readonly [string, ...string[]];
  /** As commands see it. */
  readonly cwd: string;
  /** All of it: nothing is inherited. Only bubblewrap adds PWD, the folder that it starts in. */
  readonly env: Readonly<Record<string, string>>;
}

export interface RunningCommand {
  /**
   * stdout and stderr as they come, in one stream, to be read once. Each part is good until the next is asked for: its buffer is
   * used again. Not reading it pauses the command when 64 KiB wait. Ends when nobody can write any more: what the command has
   * left running may keep it open until the sandbox is killed.
   */
  readonly output: AsyncIterable<Uint8Array>;
  /** Rejects with `unavailable` when no sandbox could be made for the command: that says nothing about it. */
  readonly ended: Promise<CommandEnd>;
  /** Asks all processes of the sandbox with SIGTERM, and kills them if the command has not ended after `graceMs`. */
  stop(graceMs: number): void;
}

export type CommandEnd =
  | { readonly kind: 'exited'; readonly code: number }
  /**
   * Killed by a signal; `byUs` when `stop`, `kill` or the supervisor's own rules sent it. A command that exits with 128 + n, for n
   * a signal that ends programs, is taken for killed by it: so shells and bubblewrap tell of the death of what they ran.
   */
  | { readonly kind: 'killed'; readonly signal: string; readonly byUs: boolean }
  /** It could not be started: no such program. */
  | { readonly kind: 'not-started'; readonly message: string }
  /** It could not be started as `cwd` is no folder. */
  | { readonly kind: 'no-folder' };
