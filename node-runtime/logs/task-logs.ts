import { CiError, isCiError } from '../../shared/errors.ts';
import type { Fence, TaskId } from '../../shared/ids.ts';
import type { LogEvent } from '../../shared/log.ts';
import { LogCursor } from '../../shared/log-cursor.ts';
import type { LockRecord, TaskResult } from '../../shared/result.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { readTaskState, type TaskState } from '../queue/records.ts';
import { deadline } from '../system/clock.ts';
import { retry } from '../system/retry.ts';
import { attemptsOfResult, type KnownAttempt, knownAttempts } from './known-attempts.ts';
import type { BlockRoom } from './block-room.ts';
import type { AttemptLogEvent } from './log-reader.ts';
import type { FollowRequest, Logs, ReadFromNode, ReadRequest, TaskLogs } from './logs.ts';

export interface TaskLogsOptions {
  readonly cluster: Cluster;
  readonly logs: Logs;
  /** This node's: attempts under its locks are read from this node's memory. */
  readonly instance: string;
  readonly readFromNode: ReadFromNode;
  /** The result of a task that has left the coordination store. */
  readonly history?: (task: TaskId, signal: AbortSignal) => Promise<TaskResult | undefined>;
}

/** How long a question to the coordination store may be tried before the caller is told, in milliseconds. */
const LOOK_LIMIT_MS = 10_000;
/** A node that could not be reached is asked again after this, then after twice this, and so on up to a minute. */
const FIRST_NODE_PAUSE_MS = 10_000;
const LONGEST_NODE_PAUSE_MS = 60_000;
/** How long a node may go on telling of an attempt whose claim is gone before the stored log is read instead. */
const GRACE_MS = 5000;

export function createTaskLogs(options: TaskLogsOptions): TaskLogs {
  return new ClusterTaskLogs(options);
}

class ClusterTaskLogs implements TaskLogs {
  readonly #options: TaskLogsOptions;

  constructor(options: TaskLogsOptions) {
    this.#options = options;
  }

  async *follow(request: FollowRequest, signal: AbortSignal): AsyncGenerator<LogEvent> {
    const { task, follow } = request;
    let attempt = await this.#first(request, signal);
    let from: number | undefined = attempt && (await this.#start(request, attempt, signal));
    attempt ??= follow ? await this.#next(task, 0, signal) : undefined;
    while (attempt !== undefined) {
      const offset: number = from ?? 0;
      yield { kind: 'attempt', fence: attempt.fence, attempt: attempt.attempt, node: attempt.node, offset };
      const { room } = request;
      const wanted = { task, fence: attempt.fence, from: offset, follow, ...(room && { room }) };
      yield* this.#readAttempt(attempt, wanted, signal);
      if (!follow || request.attempt !== undefined) return;
      attempt = await this.#next(task, attempt.fence, signal);
      from = 0;
    }
  }

  /** The attempt to begin with; undefined when there was none yet. */
  async #first(request: FollowRequest, signal: AbortSignal): Promise<KnownAttempt | undefined> {
    const { task, attempt, from } = request;
    const state = await this.#look(task, signal, LOOK_LIMIT_MS);
    const known = await this.#known(task, state, signal);
    if (from === undefined && attempt === undefined) return known.at(-1);
    const named = known.find(each =>
      from === undefined
        ? each.attempt === attempt
        : each.fence === from.fence && each.attempt === (attempt ?? each.attempt),
    );
    if (named !== undefined) return named;
    const what = from === undefined ? `attempt ${attempt}` : `fence ${from.fence}`;
    throw new CiError('not-found', `Cannot read log as the task has no such attempt on record: ${task}, ${what}`);
  }

  async #known(task: TaskId, state: TaskState, signal: AbortSignal): Promise<KnownAttempt[]> {
    if (state.task !== undefined || state.completed !== undefined) return knownAttempts(state);
    const result = await this.#options.history?.(task, signal);
    if (result !== undefined) return attemptsOfResult(result);
    throw new CiError('not-found', `Cannot read log as there is no such task: ${task}`);
  }

  async #start(request: FollowRequest, { fence }: KnownAttempt, signal: AbortSignal): Promise<number> {
    const { task, from, tail } = request;
    if (tail === undefined) return from?.offset ?? 0;
    return Math.max(0, (await this.#options.logs.length({ task, fence }, signal)) - tail);
  }

  /** The next attempt after that fence, however long it takes; undefined when there will be none. */
  async #next(task: TaskId, fence: Fence, signal: AbortSignal): Promise<KnownAttempt | undefined> {
    for (;;) {
      const state = await this.#look(task, signal);
      const next = knownAttempts(state).find(each => each.fence > fence);
      if (next !== undefined || state.task === undefined) return next;
      await this.#changed(task, state.revision, signal);
    }
  }

  async *#readAttempt(
    { state }: KnownAttempt,
    request: ReadRequest,
    signal: AbortSignal,
  ): AsyncGenerator<AttemptLogEvent> {
    const { logs, instance } = this.#options;
    const isOver = () => this.#isOver(request, signal);
    if (state.kind === 'running' && state.lock.instance !== instance)
      yield* this.#readRemote(state.lock, { ...request, isOver }, signal);
    else yield* logs.read({ ...request, isOver: state.kind === 'over' ? async () => state.how : isOver }, signal);
  }

  /** From the node that runs the attempt, and while that cannot be reached from the object store. */
  async *#readRemote(lock: LockRecord, request: ReadRequest, signal: AbortSignal): AsyncGenerator<AttemptLogEvent> {
    const { logs } = this.#options;
    const { clock } = this.#options.cluster;
    const cursor = new LogCursor(request.from);
    for (let pause = FIRST_NODE_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_NODE_PAUSE_MS)) {
      const isOver = (await request.isOver?.()) !== undefined;
      if (!isOver && (yield* this.#readFromNode(lock, request, cursor, signal))) return;
      using limit = isOver ? undefined : deadline(clock, pause, signal);
      try {
        const stored = logs.read({ ...request, from: cursor.resume() }, limit?.signal ?? signal);
        return yield* accepted(stored, cursor);
      } catch (error) {
        if (signal.aborted || !limit?.signal.aborted) throw error;
      }
    }
  }

  /** @returns whether this was all there is to say */
  async *#readFromNode(
    lock: LockRecord,
    request: ReadRequest,
    cursor: LogCursor,
    signal: AbortSignal,
  ): AsyncGenerator<AttemptLogEvent, boolean> {
    const { isOver: _, ...plain } = request;
    const claimGone = new AbortController();
    const done = new AbortController();
    const either = AbortSignal.any([signal, claimGone.signal]);
    const watching = this.#graceAfterEnd(request, AbortSignal.any([signal, done.signal])).then(
      () => claimGone.abort(new Error('The claim is gone')),
      () => undefined,
    );
    try {
      const events = this.#options.readFromNode(lock.address, { ...plain, from: cursor.resume() }, either);
      const held = request.room ? takingPlaces(events, request.room, either) : events;
      return (yield* accepted(held, cursor)) || !request.follow;
    } catch (error) {
      if (signal.aborted || (!claimGone.signal.aborted && !isCiError(error))) throw error;
      return false;
    } finally {
      done.abort();
      await watching;
    }
  }

  async #graceAfterEnd(request: ReadRequest, signal: AbortSignal): Promise<void> {
    for (;;) {
      const state = await this.#look(request.task, signal);
      if (state.lock?.revision !== request.fence) break;
      await this.#changed(request.task, state.revision, signal);
    }
    await this.#options.cluster.clock.sleep(GRACE_MS, signal);
  }

  /** A store that cannot be asked has not said that it is over. */
  async #isOver({ task, fence }: ReadRequest, signal: AbortSignal) {
    try {
      const state = await readTaskState(this.#options.cluster, task, signal);
      const attempt = knownAttempts(state).find(each => each.fence === fence);
      if (attempt === undefined) return 'lost';
      return attempt.state.kind === 'over' ? attempt.state.how : undefined;
    } catch (error) {
      if (isCiError(error, 'unavailable')) return undefined;
      throw error;
    }
  }

  #look(task: TaskId, signal: AbortSignal, limitMs = Number.POSITIVE_INFINITY): Promise<TaskState> {
    const { cluster } = this.#options;
    const { clock, chance } = cluster;
    const isTransient = (error: unknown) => isCiError(error, 'unavailable') || isCiError(error, 'ambiguous');
    return retry(() => readTaskState(cluster, task, signal), { clock, chance, signal, isTransient, limitMs });
  }

  /** Resolves when the task or its lock has changed after that revision, and when that cannot be told. */
  async #changed(task: TaskId, revision: number, signal: AbortSignal): Promise<void> {
    const { store, keys, clock } = this.#options.cluster;
    try {
      for await (const { changes } of store.watch({ prefix: keys.task(task), from: revision + 1 }, signal))
        if (changes.length > 0) return;
    } catch (error) {
      if (!isCiError(error)) throw error;
      if (error.code !== 'gone') await clock.sleep(1000, signal);
    }
    signal.throwIfAborted();
  }
}

/**
 * Another node's bytes take a place while the reader has them in hand. Each such log fills a window of its own on the way here;
 * a reader that stands still while others want its place ends, and its window with it.
 */
async function* takingPlaces<T extends { readonly kind: string }>(
  events: AsyncIterable<T>,
  room: BlockRoom,
  signal: AbortSignal,
): AsyncGenerator<T> {
  for await (const event of events) {
    if (event.kind !== 'bytes') {
      yield event;
      continue;
    }
    await room.take(signal);
    try {
      yield event;
    } finally {
      room.give();
    }
  }
}

/** What is new in these events. @returns whether they came to the attempt's end */
async function* accepted(
  events: AsyncIterable<AttemptLogEvent>,
  cursor: LogCursor,
): AsyncGenerator<AttemptLogEvent, boolean> {
  for await (const event of events) {
    const fresh = cursor.accept(event);
    if (fresh?.kind === 'end') {
      yield { ...fresh, offset: cursor.offset };
      return true;
    }
    if (fresh !== undefined) yield fresh;
  }
  return false;
}
