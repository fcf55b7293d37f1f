import { isCiError } from '../../shared/errors.ts';
import type { TaskId } from '../../shared/ids.ts';
import { parseTasksKey } from '../../shared/keyspace.ts';
import type { TaskRecord } from '../../shared/task.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Change, StoreRecord, WatchRequest } from '../store/store.ts';
import { deadline } from '../system/clock.ts';
import { Wakeup } from '../system/wakeup.ts';
import { placeBefore, placeBeyond } from './queue-places.ts';
import { QueueReader, type QueueReading } from './queue-reader.ts';
import { type Candidate, QueueWindow } from './queue-window.ts';

/** With fewer free tasks than this before the horizon, the queue is read anew. */
const REFILL_BELOW = 64;
const RELIST_MS = 30_000;
/** A queue is crowded when others take this many times as many of its tasks as this node, and it has seen some of that. */
const CROWD = 3;
const CROWD_TASKS = 64;
/** Keys of one stretch: tasks and locks. */
const STRETCH_KEYS = 64;
/** With fewer free tasks than this, a node moves on to the next stretch. */
const STRETCH_BELOW = 8;
/** How long a node moves on before it begins anew near the head, and how long it stays in a stretch at least, in milliseconds. */
const LAP_MS = 2000;
const STAY_MS = 25;

/**
 * A part of the queue as this node sees it: the tasks there that fit it, in order, kept up to date by one watch over
 * `tasks/`, which holds tasks and locks. What it shows is a hint: only CLAIM decides.
 *
 * As a rule that part is the head. However long the queue, only so much is kept; what lies behind the window is read when the
 * window runs low. With many nodes at work on a queue longer than that, the watch would tell each of them what all the others
 * do, and the cost of a task grow with their number. So each of them then roams: it looks at one short stretch after another,
 * begun at a place by chance, and is told of that and of what comes before the head: more urgent tasks, and those whose
 * holder has died or handed them back.
 */
export class QueueView {
  readonly #cluster: Cluster;
  readonly #reader: QueueReader;
  readonly #rests: (id: TaskId) => boolean;
  #window = new QueueWindow();
  /** The last id that the window has room for; tasks behind it are known to exist only. */
  #horizon: TaskId | undefined;
  /** The revision at which the window was read. */
  #revision = 0;
  /** There is a free task that the window may lack. */
  #isStale = false;
  /** How many tasks this node has taken, and others, since the head was read. */
  #taken = { own: 0, others: 0 };
  /** Ends the watch under way, so that the head is read anew. */
  #again = new AbortController();
  #isRoaming = false;
  /** Claims that hesitate: woken when their own task is taken, and not at each change. */
  readonly #hesitating = new Map<TaskId, Wakeup>();
  /** Notified at each change of what is shown. */
  readonly changed = new Wakeup();

  constructor(cluster: Cluster, fits: (id: TaskId, task: TaskRecord) => boolean, rests: (id: TaskId) => boolean) {
    this.#cluster = cluster;
    this.#reader = new QueueReader(cluster, fits, rests);
    this.#rests = rests;
  }

  /** How many of the first `most` unlocked tasks there are that are not left out. */
  count(most: number, leaveOut: (id: TaskId) => boolean): number {
    return this.#window.free(most, leaveOut).length;
  }

  /** One of the first `among` unlocked tasks, by chance, for which `takes` is true; those that do not fit the node are forgotten. */
  pick(
    among: number,
    leaveOut: (id: TaskId) => boolean,
    takes: (candidate: Candidate) => boolean,
  ): Candidate | undefined {
    const refused = new Set<TaskId>();
    for (;;) {
      const free = this.#window.free(among, id => refused.has(id) || leaveOut(id));
      const id = free[Math.floor(this.#cluster.chance.random() * free.length)];
      if (id === undefined) return this.#nothingToTake();
      const candidate = this.#read(id);
      if (candidate && takes(candidate)) return candidate;
      if (candidate) refused.add(id);
      else this.#forget(id);
    }
  }

  /** A stretch with nothing for this node is no reason to wait: there may be something elsewhere. */
  #nothingToTake(): undefined {
    if (this.#isRoaming) this.#again.abort();
  }

  /** Forgets a task that does not fit; when there may be others behind the window, the queue is listed anew. */
  #forget(id: TaskId): void {
    this.#window.remove(id);
    if (this.#needsRefill()) this.#again.abort();
  }

  /** The task of an entry, if it fits this node and this release can read it. */
  #read(id: TaskId): Candidate | undefined {
    const entry = this.#window.get(id);
    if (!entry) return undefined;
    entry.candidate ??= this.#reader.parse(id, entry.record);
    return entry.candidate;
  }

  isFree(id: TaskId): boolean {
    return this.#window.isFree(id);
  }

  /** Resolves when a task is not free any more, or quietly when the signal fires. One at a time may wait for each task. */
  async untilTaken(id: TaskId, signal: AbortSignal): Promise<void> {
    const wakeup = new Wakeup();
    this.#hesitating.set(id, wakeup);
    while (!signal.aborted && this.isFree(id)) await wakeup.wait(signal);
    this.#hesitating.delete(id);
  }

  /** Notes what a refused claim has shown, before the watch tells of it. */
  noteTaken(id: TaskId): void {
    const entry = this.#window.get(id);
    if (entry) entry.locked = true;
  }

  /** Notes a claim of this node; the watch may have told of it before. */
  noteClaimed(id: TaskId): void {
    if (!this.isFree(id)) this.#taken.others--;
    this.#taken.own++;
    this.noteTaken(id);
  }

  /** Keeps the view until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, chance } = this.#cluster;
    while (!signal.aborted) {
      try {
        this.#show(await this.#reader.head(signal));
        if (this.#isCrowded) await this.#roam(signal);
        else await this.#watchHead(signal);
      } catch (error) {
        if (signal.aborted) return;
        // The queue is looked at anew: what was missed is in the listing, and the store says when it is back.
        if (!isCiError(error)) throw error;
        if (error.code !== 'gone') await clock.sleep(200 + 800 * chance.random(), signal).catch(() => undefined);
      }
    }
  }

  get #isCrowded(): boolean {
    const { own, others } = this.#taken;
    return this.#horizon !== undefined && others > CROWD_TASKS && others > CROWD * own;
  }

  /** Until the window runs low or has become doubtful. */
  async #watchHead(signal: AbortSignal): Promise<void> {
    using watch = this.#begin(signal);
    this.#taken = { own: 0, others: 0 };
    const upTo = this.#horizon && this.#cluster.keys.lock(this.#horizon);
    await this.#watch(
      { ...(upTo !== undefined && { upTo }) },
      () => this.#needsRefill() || this.#isCrowded,
      watch.signal,
    );
  }

  /** Until there is news before the head, nothing to take, or the end of the queue no longer far. */
  async #roam(signal: AbortSignal): Promise<void> {
    using watch = this.#begin(signal);
    const head = this.#window.ids[0]!;
    const isNews = () => this.#isStale || (this.#window.ids[0] ?? head) < head;
    this.#isRoaming = true;
    try {
      const ways = [
        this.#watch({ upTo: placeBefore(this.#cluster.keys, head) }, isNews, watch.signal),
        this.#laps(head, isNews, watch.signal).catch(error => {
          if (!watch.signal.aborted) throw error;
        }),
      ];
      await Promise.race(ways).finally(() => this.#again.abort());
      await Promise.all(ways);
    } finally {
      this.#isRoaming = false;
      this.#taken = { own: 0, others: 0 };
    }
  }

  /** From a place by chance near the head from stretch to stretch, and after a while anew, until the queue is short. */
  async #laps(head: TaskId, isNews: () => boolean, signal: AbortSignal): Promise<void> {
    const { keys, clock, chance } = this.#cluster;
    for (;;) {
      const until = clock.monotonic() + LAP_MS;
      const { ids, more } = await this.#reader.ids(placeBefore(keys, head), signal);
      if (!more) return;
      const alike = ids.filter(id => id[0] === head[0]);
      let after: string | undefined = placeBefore(keys, alike[Math.floor(chance.random() * alike.length)] ?? head);
      while (after !== undefined && clock.monotonic() < until) {
        after = await this.#stretch(after, isNews, signal);
        if (signal.aborted) return;
      }
    }
  }

  /** @returns the key that the next stretch begins after; undefined at the end of the queue */
  async #stretch(after: string, isNews: () => boolean, signal: AbortSignal): Promise<string | undefined> {
    const { keys, clock, chance } = this.#cluster;
    const { window, revision, more, first, last } = await this.#reader.stretch(after, STRETCH_KEYS, signal);
    if (first === undefined || last === undefined) return undefined;
    const upTo = keys.lock(last);
    if (window.free(STRETCH_BELOW, this.#rests).length === STRETCH_BELOW) {
      this.#show({ window, revision, horizon: last });
      using limit = deadline(clock, LAP_MS, signal);
      const isOver = () => isNews() || this.#window.free(STRETCH_BELOW, this.#rests).length < STRETCH_BELOW;
      await this.#watch({ after, upTo }, isOver, limit.signal);
    }
    await clock.sleep(STAY_MS, signal).catch(() => undefined);
    return more ? placeBeyond(keys, first, last, chance) : undefined;
  }

  /** A watch that also ends after a while, or so that the head is read anew. */
  #begin(signal: AbortSignal) {
    const { clock, chance } = this.#cluster;
    this.#again = new AbortController();
    const either = AbortSignal.any([signal, this.#again.signal]);
    return deadline(clock, RELIST_MS * (0.75 + chance.random() / 2), either);
  }

  /** Keeps the window up to date with some keys, from the revision on that it shows, until a change after which it is over. */
  async #watch(
    stretch: Pick<WatchRequest, 'after' | 'upTo'>,
    isOver: () => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, keys } = this.#cluster;
    const request = { prefix: keys.tasks, ...stretch, from: this.#revision + 1 };
    for await (const { changes } of store.watch(request, signal)) {
      if (changes.length > 0) this.#applyBatch(changes);
      if (isOver()) return;
    }
  }

  #needsRefill(): boolean {
    return (
      this.#isStale ||
      (this.#horizon !== undefined && this.#window.free(REFILL_BELOW, this.#rests).length < REFILL_BELOW)
    );
  }

  #show({ window, revision, horizon }: QueueReading): void {
    this.#window = window;
    this.#revision = revision;
    this.#horizon = horizon;
    this.#isStale = false;
    this.#tellChange();
  }

  /** A batch never ends within a revision, so a completion's two deletions, of lock and task, are both in it. */
  #applyBatch(changes: readonly Change[]): void {
    const ended = new Set<string>();
    for (const change of changes) if (change.kind === 'delete') ended.add(change.key);
    for (const change of changes) this.#apply(change, ended);
    this.#tellChange();
  }

  #tellChange(): void {
    for (const [id, wakeup] of this.#hesitating) if (!this.isFree(id)) wakeup.notify();
    this.changed.notify();
  }

  #apply(change: Change, ended: ReadonlySet<string>): void {
    const key = change.kind === 'put' ? change.record.key : change.key;
    const parsed = parseTasksKey(this.#cluster.keys, key);
    if (!parsed) return;
    const { id } = parsed;
    if (this.#horizon !== undefined && id > this.#horizon) return;
    if (parsed.kind === 'lock') this.#applyLock(id, change.kind === 'put', ended.has(this.#cluster.keys.task(id)));
    else if (change.kind === 'delete') this.#window.remove(id);
    else this.#applyTask(id, change.record);
  }

  #applyLock(id: TaskId, isLocked: boolean, hasEnded: boolean): void {
    const entry = this.#window.get(id);
    // A lock that goes while its task stays has freed a task that the window may not hold: it was locked when listed.
    if (!entry) this.#isStale ||= !isLocked && !hasEnded;
    else {
      if (isLocked && !entry.locked) this.#taken.others++;
      entry.locked = isLocked;
    }
  }

  #applyTask(id: TaskId, record: StoreRecord): void {
    const locked = this.#window.get(id)?.locked ?? false;
    this.#window.put(id, { record, candidate: undefined, locked });
    if (this.#window.isFull) this.#evictLast();
  }

  #evictLast(): void {
    const last = this.#window.ids.at(-1);
    if (last !== undefined) this.#window.remove(last);
    this.#horizon = this.#window.ids.at(-1);
  }
}
