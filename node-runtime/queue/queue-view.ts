import { isCiError } from '../../shared/errors.ts';
import type { TaskId } from '../../shared/ids.ts';
import { parseTasksKey } from '../../shared/keyspace.ts';
import { TaskRecord } from '../../shared/task.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import type { Change, StoreRecord } from '../store/store.ts';
import { Wakeup } from '../system/wakeup.ts';
import { parseRecord } from './records.ts';

/** A task in the queue that this node could run. */
export interface Candidate {
  readonly id: TaskId;
  readonly task: TaskRecord;
  /** Of the task.json. */
  readonly revision: number;
}

/** What came by the watch is read only when the task is considered: most are taken by others before that. */
interface Entry {
  readonly record: StoreRecord;
  candidate: Candidate | undefined;
  locked: boolean;
}

const WINDOW_TASKS = 512;
const WINDOW_BYTES = 8_388_608;
const REFILL_BELOW = 64;
const PAGE = 500;
const RELIST_MS = 30_000;

/**
 * The head of the queue as this node sees it: the first tasks that fit it, in order, kept up to date by one watch over
 * `tasks/`, which holds tasks and locks. However long the queue, at most 512 tasks or 8 MiB are kept; what lies behind
 * the window is read when the window runs low. What it shows is a hint: only CLAIM decides.
 */
export class QueueView {
  readonly #cluster: Cluster;
  readonly #fits: (id: TaskId, task: TaskRecord) => boolean;
  readonly #rests: (id: TaskId) => boolean;
  #window = new Map<TaskId, Entry>();
  /** The ids of the window, in order. */
  #order: TaskId[] = [];
  #bytes = 0;
  /** The last id that the window has room for; tasks behind it are known to exist only. */
  #horizon: TaskId | undefined;
  /** The revision that the window shows. */
  #revision = 0;
  #stale = false;
  /** Ends the watch under way, so that the queue is listed anew. */
  #relist = new AbortController();
  /** Notified at each change of what is shown. */
  readonly changed = new Wakeup();

  constructor(cluster: Cluster, fits: (id: TaskId, task: TaskRecord) => boolean, rests: (id: TaskId) => boolean) {
    this.#cluster = cluster;
    this.#fits = fits;
    this.#rests = rests;
  }

  /** How many of the first `most` unlocked tasks there are that are not left out. */
  count(most: number, leaveOut: (id: TaskId) => boolean): number {
    return this.#free(most, leaveOut).length;
  }

  /** One of the first `among` unlocked tasks, by chance, for which `takes` is true; those that do not fit the node are forgotten. */
  pick(
    among: number,
    leaveOut: (id: TaskId) => boolean,
    takes: (candidate: Candidate) => boolean,
  ): Candidate | undefined {
    const refused = new Set<TaskId>();
    for (;;) {
      const free = this.#free(among, id => refused.has(id) || leaveOut(id));
      const id = free[Math.floor(this.#cluster.chance.random() * free.length)];
      if (id === undefined) return undefined;
      const candidate = this.#read(id);
      if (candidate && takes(candidate)) return candidate;
      if (candidate) refused.add(id);
      else this.#forget(id);
    }
  }

  /** Forgets a task that does not fit; when there may be others behind the window, the queue is listed anew. */
  #forget(id: TaskId): void {
    this.#remove(id);
    if (this.#needsRefill()) this.#relist.abort();
  }

  #free(most: number, leaveOut: (id: TaskId) => boolean): TaskId[] {
    const found: TaskId[] = [];
    for (const id of this.#order) {
      if (found.length === most) break;
      if (this.#window.get(id)?.locked === false && !leaveOut(id)) found.push(id);
    }
    return found;
  }

  /** The task of an entry, if it fits this node and this release can read it. */
  #read(id: TaskId): Candidate | undefined {
    const entry = this.#window.get(id);
    if (!entry) return undefined;
    entry.candidate ??= this.#parse(id, entry.record);
    return entry.candidate;
  }

  #parse(id: TaskId, record: StoreRecord): Candidate | undefined {
    try {
      const task = parseRecord(TaskRecord, record);
      return this.#fits(id, task) ? { id, task, revision: record.modRevision } : undefined;
    } catch (error) {
      if (isCiError(error)) return undefined; // Not a task this release can read; a newer node will.
      throw error;
    }
  }

  isFree(id: TaskId): boolean {
    return this.#window.get(id)?.locked === false;
  }

  /** Notes what a refused claim has shown, before the watch tells of it. */
  noteTaken(id: TaskId): void {
    const entry = this.#window.get(id);
    if (entry) entry.locked = true;
  }

  /** Keeps the view until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, chance } = this.#cluster;
    while (!signal.aborted) {
      try {
        await this.#fill(signal);
        await this.#watch(signal);
      } catch (error) {
        if (signal.aborted) return;
        // The queue is looked at anew: what was missed is in the listing, and the store says when it is back.
        if (!isCiError(error)) throw error;
        if (error.code !== 'gone') await clock.sleep(200 + 800 * chance.random(), signal).catch(() => undefined);
      }
    }
  }

  /** Watches from where the window stands, and fills it again whenever it runs low or has become doubtful. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { store, keys, clock, chance } = this.#cluster;
    const relist = new AbortController();
    this.#relist = relist;
    const both = AbortSignal.any([signal, relist.signal]);
    clock.sleep(RELIST_MS * (0.75 + chance.random() / 2), both).then(
      () => relist.abort(),
      () => undefined,
    );
    try {
      for await (const batch of store.watch({ prefix: keys.tasks, from: this.#revision + 1 }, both)) {
        this.#applyBatch(batch.changes);
        if (this.#needsRefill()) await this.#fill(both);
      }
    } catch (error) {
      if (!relist.signal.aborted) throw error;
    } finally {
      relist.abort();
    }
  }

  #needsRefill(): boolean {
    return this.#stale || (this.#horizon !== undefined && this.#countAwake() < REFILL_BELOW);
  }

  #countAwake(): number {
    let count = 0;
    for (const id of this.#window.keys()) if (!this.#rests(id)) count++;
    return count;
  }

  /** In a queue longer than the window, tasks that rest give way to those behind them. A later listing finds them again. */
  #dropResting(): void {
    for (const id of [...this.#window.keys()]) if (this.#rests(id)) this.#drop(id);
  }

  /** Reads the queue from its head until the window is full or the queue at its end, all at one revision. */
  async #fill(signal: AbortSignal): Promise<void> {
    const { store, keys } = this.#cluster;
    this.#window = new Map();
    this.#bytes = 0;
    this.#horizon = undefined;
    this.#stale = false;
    let after: string | undefined;
    let revision: number | undefined;
    for (let more = true; more && !this.#isFull(); ) {
      const request = {
        prefix: keys.tasks,
        limit: PAGE,
        ...(after !== undefined && { after }),
        ...(revision !== undefined && { revision }),
      };
      const page = await store.range(request, { signal, timeoutMs: CALL_TIMEOUT_MS * 3 });
      for (const record of page.records) this.#list(record);
      revision = page.revision;
      after = page.records.at(-1)?.key;
      more = page.more;
      if (more && this.#isFull()) this.#dropResting();
      if (more && this.#isFull()) this.#horizon = this.#endOf(after);
    }
    this.#revision = revision ?? this.#revision;
    this.#order = [...this.#window.keys()].sort();
    this.changed.notify();
  }

  #isFull(): boolean {
    return this.#window.size >= WINDOW_TASKS || this.#bytes >= WINDOW_BYTES;
  }

  #endOf(after: string | undefined): TaskId | undefined {
    const parsed = after === undefined ? undefined : parseTasksKey(this.#cluster.keys, after);
    return parsed?.id;
  }

  /** Takes up one listed key, if the task fits; a lock comes straight after its task. */
  #list(record: StoreRecord): void {
    const parsed = parseTasksKey(this.#cluster.keys, record.key);
    if (parsed?.kind === 'lock') this.#drop(parsed.id);
    if (parsed?.kind !== 'task') return;
    const candidate = this.#parse(parsed.id, record);
    if (candidate) this.#put(parsed.id, { record, candidate, locked: false });
  }

  #put(id: TaskId, entry: Entry): void {
    this.#drop(id);
    this.#bytes += entry.record.value.length;
    this.#window.set(id, entry);
  }

  #drop(id: TaskId): void {
    this.#bytes -= this.#window.get(id)?.record.value.length ?? 0;
    this.#window.delete(id);
  }

  /** A batch never ends within a revision, so a completion's two deletions, of lock and task, are both in it. */
  #applyBatch(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    const ended = new Set<string>();
    for (const change of changes) if (change.kind === 'delete') ended.add(change.key);
    for (const change of changes) this.#apply(change, ended);
    this.changed.notify();
  }

  #apply(change: Change, ended: ReadonlySet<string>): void {
    const key = change.kind === 'put' ? change.record.key : change.key;
    const revision = change.kind === 'put' ? change.record.modRevision : change.revision;
    const parsed = parseTasksKey(this.#cluster.keys, key);
    if (!parsed || revision <= this.#revision) return;
    const { id } = parsed;
    if (this.#horizon !== undefined && id > this.#horizon) return;
    if (parsed.kind === 'lock') this.#applyLock(id, change.kind === 'put', ended.has(this.#cluster.keys.task(id)));
    else if (change.kind === 'delete') this.#remove(id);
    else this.#applyTask(id, change.record);
  }

  #applyLock(id: TaskId, isLocked: boolean, hasEnded: boolean): void {
    const entry = this.#window.get(id);
    if (entry) entry.locked = isLocked;
    // A lock that goes while its task stays has freed a task that the window may not hold: it was locked when listed.
    else if (!isLocked && !hasEnded) this.#stale = true;
  }

  #applyTask(id: TaskId, record: StoreRecord): void {
    const known = this.#window.get(id);
    this.#put(id, { record, candidate: undefined, locked: known?.locked ?? false });
    if (!known) this.#insert(id);
    if (this.#isFull()) this.#evictLast();
  }

  #insert(id: TaskId): void {
    let at = this.#order.length;
    while (at > 0 && this.#order[at - 1]! > id) at--;
    this.#order.splice(at, 0, id);
  }

  #evictLast(): void {
    const last = this.#order.pop();
    if (last !== undefined) this.#drop(last);
    this.#horizon = this.#order.at(-1);
  }

  #remove(id: TaskId): void {
    this.#drop(id);
    const at = this.#order.indexOf(id);
    if (at >= 0) this.#order.splice(at, 1);
  }
}
