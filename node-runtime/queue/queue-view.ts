import { isCiError } from '../../shared/errors.ts';
import type { TaskId } from '../../shared/ids.ts';
import { parseTasksKey } from '../../shared/keyspace.ts';
import type { TaskRecord } from '../../shared/task.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Change, StoreRecord, WatchRequest } from '../store/store.ts';
import { deadline } from '../system/clock.ts';
import { Wakeup } from '../system/wakeup.ts';
import { placeBefore } from './queue-places.ts';
import { QueueReader, type QueueReading } from './queue-reader.ts';
import { QueueRivals } from './queue-rivals.ts';
import { QueueStretches } from './queue-stretches.ts';
import { type Candidate, MOST_TASKS, QueueWindow } from './queue-window.ts';

/** With fewer free tasks than this before the horizon, the queue is read anew. */
const REFILL_BELOW = 64;
const RELIST_MS = 30_000;
/** With so many free tasks a queue is long enough for many nodes to keep out of each other's way. */
const ROOMY_TASKS = 128;
/** Of more tasks that are more urgent than the others, who roams is not told: too many nodes would be of too many claims. */
const MOST_URGENT = 16;

/**
 * A part of the queue as this node sees it: the tasks there that fit it, in order, kept up to date by one watch over
 * `tasks/`, which holds tasks and locks. What it shows is a hint: only CLAIM decides.
 *
 * As a rule that part is the head. However long the queue, only so much is kept; what lies behind the window is read when the
 * window runs low. With many nodes at work, the watch would tell each of them what all the others do, and the cost of a task
 * grow with their number. So each of them then roams, where the queue has room: it reads one short stretch after another,
 * begun at a place by chance, and is told only of what comes before the head: more urgent tasks, and those whose holder has
 * died or handed them back. What it has passed, it finds when it reads the head anew.
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
  /** Since the head was read. */
  readonly #rivals = new QueueRivals();
  /** Ends the watch under way, so that the head is read anew. */
  #again = new AbortController();
  /** While it roams. */
  #stretches: QueueStretches | undefined;
  /** Notified when a task is looked for in a stretch that has none any more. */
  readonly #spent = new Wakeup();
  /** By `Clock.monotonic`: until when it keeps to the head of a queue that was too short for roaming. */
  #staysUntil = 0;
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
    return this.#window.free(this.#choice(most), leaveOut).length;
  }

  /** One of the first `among` unlocked tasks, by chance, for which `takes` is true; those that do not fit the node are forgotten. */
  pick(
    among: number,
    leaveOut: (id: TaskId) => boolean,
    takes: (candidate: Candidate) => boolean,
  ): Candidate | undefined {
    const refused = new Set<TaskId>();
    for (;;) {
      const free = this.#window.free(this.#choice(among), id => refused.has(id) || leaveOut(id));
      const id = free[Math.floor(this.#cluster.chance.random() * free.length)];
      if (id === undefined) {
        this.#spent.notify();
        return undefined;
      }
      const candidate = this.#read(id);
      if (candidate && takes(candidate)) return candidate;
      if (candidate) refused.add(id);
      else this.#forget(id);
    }
  }

  /** Among how many to choose: where many look for tasks, all that is shown. */
  #choice(among: number): number {
    return this.isRoaming ? MOST_TASKS : among;
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

  /** Whether it looks at stretches of the queue, where claims need not hesitate: nodes meet there by chance only. */
  get isRoaming(): boolean {
    return this.#stretches !== undefined;
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
    this.#lock(id);
    if (!this.#stretches) return;
    // The others have been here since: what else is shown of the stretch is as old.
    this.#stretches.noteLost();
    this.#window = new QueueWindow();
  }

  /** Notes a claim of this node; the watch may have told of it before. */
  noteClaimed(id: TaskId): void {
    this.#rivals.noteOwn(!this.isFree(id));
    this.#stretches?.noteWon();
    this.#lock(id);
  }

  #lock(id: TaskId): void {
    const entry = this.#window.get(id);
    if (entry) entry.locked = true;
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
    if (!this.#rivals.areMany) return false;
    if (this.#horizon !== undefined) return true;
    if (this.#cluster.clock.monotonic() < this.#staysUntil) return false;
    return this.#window.free(ROOMY_TASKS, this.#rests).length === ROOMY_TASKS;
  }

  /** Until the window runs low or has become doubtful. */
  async #watchHead(signal: AbortSignal): Promise<void> {
    using watch = this.#begin(signal);
    this.#rivals.forget();
    const upTo = this.#horizon && this.#cluster.keys.lock(this.#horizon);
    await this.#watch(
      { ...(upTo !== undefined && { upTo }) },
      () => this.#needsRefill() || this.#isCrowded,
      watch.signal,
    );
  }

  /** Until there is news before the head, the queue is short, or it turns out to be too short for so many nodes. */
  async #roam(signal: AbortSignal): Promise<void> {
    using watch = this.#begin(signal);
    const { ids } = this.#window;
    const upTo = placeBefore(this.#cluster.keys, boundOfNews(ids));
    const stretches = new QueueStretches(this.#cluster, this.#reader, this.#rests, ids[0]!);
    this.#stretches = stretches;
    try {
      const ways = [
        this.#watch({ upTo }, () => this.#isStale, watch.signal),
        this.#showStretches(stretches, watch.signal).catch(error => {
          if (!watch.signal.aborted) throw error;
        }),
      ];
      await Promise.race(ways).finally(() => this.#again.abort());
      await Promise.all(ways);
    } finally {
      this.#stretches = undefined;
      this.#rivals.forget();
    }
  }

  /** Shows one stretch after another, each until a task is looked for that it does not have. */
  async #showStretches(stretches: QueueStretches, signal: AbortSignal): Promise<void> {
    for (;;) {
      const stretch = await stretches.next(signal);
      if (!stretch) return;
      this.#show({ ...stretch, horizon: stretch.last });
      await this.#spent.wait(signal);
      if (!stretches.areContested) continue;
      this.#staysUntil = this.#cluster.clock.monotonic() + RELIST_MS;
      return;
    }
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
    if (!entry || this.isRoaming) this.#isStale ||= !isLocked && !hasEnded;
    if (entry) {
      if (isLocked && !entry.locked) this.#rivals.noteOther();
      entry.locked = isLocked;
    }
  }

  #applyTask(id: TaskId, record: StoreRecord): void {
    // A new one before the head is not of the stretch that is shown.
    if (this.isRoaming) this.#isStale ||= record.createRevision === record.modRevision;
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

/**
 * Who roams is told of what comes before this. A few tasks at the head that are more urgent than the others come before it too: the next
 * of their kind is behind them, and as urgent.
 */
function boundOfNews(ids: readonly TaskId[]): TaskId {
  let bound = 0;
  for (let at = 1; at <= MOST_URGENT && at < ids.length; at++) if (ids[at]![0] !== ids[at - 1]![0]) bound = at;
  return ids[bound]!;
}
