import type { TaskSummary } from '../../shared/api.ts';
import { isCiError } from '../../shared/errors.ts';
import { parseTaskId, type TaskId } from '../../shared/ids.ts';
import { parseTasksKey } from '../../shared/keyspace.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import { readTogether } from '../store/read-together.ts';
import type { Change } from '../store/store.ts';
import { Wakeup } from '../system/wakeup.ts';
import { joinLocks, listCompleted, readResults } from './list-tasks.ts';
import { taskStateOf } from './records.ts';
import { summaryOfResult, summaryOfTask } from './summaries.ts';
import type { TasksEvent } from './tasks-service.ts';

const UNFINISHED_SHOWN = 1000;
const FINISHED_SHOWN = 200;
/** Tasks read at once: each has four keys, and a transaction reads at most 90. */
const READ_TOGETHER = 20;
/** A follower further behind than this gets a new snapshot instead of what it missed. */
const MOST_PENDING = 2000;

/**
 * What happens to tasks, for people who look on: one watch for all followers of this node, running only while there are any.
 * The watch says which tasks changed; how they are now is read. Changes of one task between two reads become one.
 */
export class TaskFeed {
  readonly #cluster: Cluster;
  readonly #followers = new Set<Follower>();
  #running: { stop: AbortController; done: Promise<void> } | undefined;
  #isWatching = false;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  async *follow(signal: AbortSignal): AsyncGenerator<TasksEvent> {
    const follower = new Follower(this.#isWatching);
    this.#followers.add(follower);
    this.#start();
    try {
      while (!signal.aborted) {
        if (follower.needsSnapshot) {
          follower.restart();
          const tasks = await this.#snapshot(signal);
          yield { kind: 'snapshot', tasks };
        }
        for (const event of follower.take()) yield event;
        if (follower.isIdle) await follower.changed.wait(signal);
        if (follower.failure) throw follower.failure;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#followers.delete(follower);
      if (this.#followers.size === 0) await this.#stop();
    }
  }

  #start(): void {
    if (this.#running) return;
    const stop = new AbortController();
    this.#running = { stop, done: this.#run(stop.signal) };
  }

  async #stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    this.#isWatching = false;
    running?.stop.abort();
    await running?.done;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, chance } = this.#cluster;
    while (!signal.aborted) {
      try {
        await this.#watch(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#isWatching = false;
        if (!isCiError(error)) {
          for (const follower of this.#followers) follower.fail(error);
          return;
        }
        await clock.sleep(300 + 700 * chance.random(), signal).catch(() => undefined);
      }
    }
  }

  /** A follower that begins while this runs reads its snapshot later than the watch began: it may hear of a change twice, never not at all. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { store, keys } = this.#cluster;
    const { revision } = await store.range({ key: keys.cluster, limit: 1 }, { signal, timeoutMs: CALL_TIMEOUT_MS });
    this.#isWatching = true;
    for (const follower of this.#followers) follower.lapse();
    for await (const batch of store.watch({ prefix: keys.root, from: revision + 1 }, signal)) {
      const ids = new Set(batch.changes.flatMap(change => this.#idOf(change)));
      const all = [...ids];
      for (let at = 0; at < all.length; at += READ_TOGETHER)
        await this.#publish(all.slice(at, at + READ_TOGETHER), signal);
    }
  }

  #idOf(change: Change): TaskId[] {
    const { keys } = this.#cluster;
    const key = change.kind === 'put' ? change.record.key : change.key;
    const parsed = parseTasksKey(keys, key);
    if (parsed) return [parsed.id];
    return key.startsWith(keys.completedTasks) ? [parseTaskId(key.slice(keys.completedTasks.length))] : [];
  }

  async #publish(ids: readonly TaskId[], signal: AbortSignal): Promise<void> {
    const { store, keys } = this.#cluster;
    const [first, ...rest] = ids.flatMap(id => [keys.task(id), keys.lock(id), keys.completed(id)]);
    if (first === undefined) return;
    const { revision, records } = await readTogether(store, [first, ...rest], { signal, timeoutMs: CALL_TIMEOUT_MS });
    for (const id of ids) {
      const { task, lock, completed } = taskStateOf(this.#cluster, id, revision, records);
      const summary = completed
        ? summaryOfResult(id, completed.value)
        : task && summaryOfTask(id, task.value, lock?.value);
      for (const follower of this.#followers)
        follower.push(id, summary ? { kind: 'changed', task: summary } : { kind: 'gone', id });
    }
  }

  async #snapshot(signal: AbortSignal): Promise<TaskSummary[]> {
    const { store, keys } = this.#cluster;
    const page = await store.range(
      { prefix: keys.tasks, limit: UNFINISHED_SHOWN * 2 },
      { signal, timeoutMs: CALL_TIMEOUT_MS * 3 },
    );
    const unfinished = [...joinLocks(this.#cluster, page.records)]
      .slice(0, UNFINISHED_SHOWN)
      .map(({ summary }) => summary);
    const newest = (await listCompleted(this.#cluster, signal))
      .sort((a, b) => b.revision - a.revision)
      .slice(0, FINISHED_SHOWN);
    const finished: TaskSummary[] = [];
    for (let at = 0; at < newest.length; at += 80)
      finished.push(...(await readResults(this.#cluster, newest.slice(at, at + 80), signal)));
    const done = new Set(finished.map(task => task.id));
    return [...unfinished.filter(task => !done.has(task.id)), ...finished];
  }
}

/** One reader of the feed: what it has not yet taken, a change per task. */
class Follower {
  readonly changed = new Wakeup();
  failure: unknown;
  #pending = new Map<TaskId, TasksEvent>();
  #needsSnapshot: boolean;

  /** @param isWatching false: the watch is about to begin, and will ask for the snapshot itself */
  constructor(isWatching: boolean) {
    this.#needsSnapshot = isWatching;
  }

  get needsSnapshot(): boolean {
    return this.#needsSnapshot;
  }

  get isIdle(): boolean {
    return !this.#needsSnapshot && this.#pending.size === 0 && this.failure === undefined;
  }

  restart(): void {
    this.#needsSnapshot = false;
    this.#pending.clear();
  }

  /** Something was or may have been missed. */
  lapse(): void {
    this.#needsSnapshot = true;
    this.#pending.clear();
    this.changed.notify();
  }

  push(id: TaskId, event: TasksEvent): void {
    this.#pending.delete(id);
    this.#pending.set(id, event);
    if (this.#pending.size > MOST_PENDING) this.lapse();
    this.changed.notify();
  }

  fail(error: unknown): void {
    this.failure = error;
    this.changed.notify();
  }

  take(): TasksEvent[] {
    const events = [...this.#pending.values()];
    this.#pending.clear();
    return events;
  }
}
