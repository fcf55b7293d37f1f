import type { BlockRoom } from './block-room.ts';
import type { ObjectKeys } from '../../shared/keyspace.ts';
import type { Fence, TaskId } from '../../shared/ids.ts';
import type { LogBytesEvent, LogEndEvent, LogEvent, LogMark, LogMarkEvent, LogPosition } from '../../shared/log.ts';

/**
 * The log of one attempt, as its runner sees it: bytes go in, in order; they are cut into compressed pieces and stored at
 * 1 MiB or after half a second, and reach followers at once.
 */
export interface LogWriter extends AsyncDisposable {
  /**
   * Resolves when there is room for more: awaiting it is what slows a task that prints faster than can be stored. The bytes are
   * copied when their turn comes: keep them until it resolves. A `mark` that is to follow them must wait for it too.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Records something between the bytes written before and after this call. */
  mark(kind: LogMark['kind'], text: string, step?: number): void;
  /** Stores the rest and the manifest. After it, the log is complete and never changes. */
  finish(): Promise<LogSummary>;
  /** Fires, and `write` and `finish` reject, with the CiError as reason, when a piece could not be stored for `storeTimeoutMs`: the attempt is lost to us. */
  readonly failed: AbortSignal;
}

export interface LogSummary {
  readonly bytes: number;
  readonly lines: number;
}

export interface AttemptName {
  readonly task: TaskId;
  readonly fence: Fence;
}

/** Every log this node can serve: its own attempts' as they are written, and every stored one. */
export interface Logs {
  /**
   * Opens the log of an attempt that this node runs.
   * @param mask values that are replaced by *** before anything leaves this process
   */
  open(attempt: AttemptName, mask: readonly string[]): LogWriter;
  /**
   * What one attempt printed, from the byte at `from` on, without gap or repeat, and the marks from there on. With `follow` it
   * goes on until the attempt ends, else it ends with what is there now. Memory: three pieces, fewer
   * where others share `room`. Bytes that are not here yet are
   * looked for in the object store every second; `isOver` tells when nobody will write more. An event has at most 256 KiB.
   * Marks at `from` itself are given: who has seen some of them already drops these (`LogCursor`).
   */
  read(request: ReadRequest, signal: AbortSignal): AsyncIterable<LogBytesEvent | LogMarkEvent | LogEndEvent>;
  /** How many bytes of the attempt's log are known here now: all of them if this node runs it, else those that are stored. */
  length(attempt: AttemptName, signal: AbortSignal): Promise<number>;
  /** All marks of an attempt that is finished, or that this node runs; undefined for others. */
  outline(attempt: AttemptName, signal: AbortSignal): Promise<LogOutline | undefined>;
}

export interface LogOutline {
  readonly bytes: number;
  readonly marks: readonly LogMark[];
}

export interface ReadRequest extends AttemptName {
  readonly from: number;
  readonly follow: boolean;
  /** Start this many bytes before the end instead of at `from`. */
  readonly tail?: number;
  /**
   * Asked, before each look into the object store, whether the attempt has ended, and how, when this node does not run it. A
   * log that has its manifest is finished whatever this says.
   */
  readonly isOver?: () => Promise<LogEndEvent['reason'] | undefined>;
  /** For the pieces that it holds, where other readers share it. */
  readonly room?: BlockRoom;
}

/** A task's log over all its attempts: what people mean by "the log". */
export interface TaskLogs {
  /**
   * Begins with an `attempt` event. Without `attempt`: the completing one, or the one under way and then each that follows,
   * until the task is finished. Served from this node, else from the node that holds the claim, else from the object store.
   * Rejects with `not-found` for a task or attempt that never was.
   */
  follow(request: FollowRequest, signal: AbortSignal): AsyncIterable<LogEvent>;
}

export interface FollowRequest {
  readonly task: TaskId;
  readonly attempt?: number;
  readonly from?: LogPosition;
  readonly tail?: number;
  readonly follow: boolean;
  readonly room?: BlockRoom;
}

/** Asks the node at `address` for the log of an attempt that it runs. Rejects with `unavailable` when it cannot be reached. */
export type ReadFromNode = (
  address: string,
  request: ReadRequest,
  signal: AbortSignal,
) => AsyncIterable<LogBytesEvent | LogMarkEvent | LogEndEvent>;

export type LogKeys = Pick<ObjectKeys, 'log' | 'logManifest'>;
