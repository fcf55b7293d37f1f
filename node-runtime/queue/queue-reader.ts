import { isCiError } from '../../shared/errors.ts';
import type { TaskId } from '../../shared/ids.ts';
import { parseTasksKey } from '../../shared/keyspace.ts';
import { TaskRecord } from '../../shared/task.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import type { RangeRequest, RangeResult, StoreRecord } from '../store/store.ts';
import { type Candidate, QueueWindow } from './queue-window.ts';
import { parseRecord } from './records.ts';

/** A part of the queue, all at one revision. */
export interface QueueReading {
  readonly window: QueueWindow;
  readonly revision: number;
  /** The last id that was read, if there is more behind it. */
  readonly horizon: TaskId | undefined;
}

/** Some keys of the queue: the tasks among them that have no lock, and the first and last task that they belong to. */
export interface Stretch {
  readonly window: QueueWindow;
  readonly revision: number;
  /** Whether the queue goes on. */
  readonly more: boolean;
  readonly first: TaskId | undefined;
  readonly last: TaskId | undefined;
}

/** What stands in a part of the queue, without the tasks themselves. */
export interface Outline extends Pick<Stretch, 'first' | 'last' | 'more'> {
  readonly free: readonly TaskId[];
}

/** What is read of the queue at once. */
type Page = Pick<RangeRequest, 'limit' | 'revision' | 'keysOnly'> & { readonly after?: string };

const PAGE = 500;

/** Reads the queue, for a node that some tasks fit and others do not. */
export class QueueReader {
  readonly #cluster: Cluster;
  readonly #fits: (id: TaskId, task: TaskRecord) => boolean;
  readonly #rests: (id: TaskId) => boolean;

  constructor(cluster: Cluster, fits: (id: TaskId, task: TaskRecord) => boolean, rests: (id: TaskId) => boolean) {
    this.#cluster = cluster;
    this.#fits = fits;
    this.#rests = rests;
  }

  /** From the head until the window is full or the queue at its end. */
  async head(signal: AbortSignal): Promise<QueueReading> {
    const window = new QueueWindow();
    let page = await this.#page(window, { limit: PAGE }, signal);
    while (page.more && this.#hasRoom(window)) {
      const next = { after: page.records.at(-1)!.key, revision: page.revision, limit: PAGE };
      page = await this.#page(window, next, signal);
    }
    return { window, revision: page.revision, horizon: page.more ? this.#idOf(page.records.at(-1)!) : undefined };
  }

  /** Some keys after one. */
  async stretch(after: string, limit: number, signal: AbortSignal): Promise<Stretch> {
    const window = new QueueWindow();
    const { revision, more, records } = await this.#page(window, { after, limit }, signal);
    const [first, last] = [records[0], records.at(-1)].map(record => record && this.#idOf(record));
    return { window, revision, more, first, last };
  }

  /** The first and last of the tasks after a key, and those between that have no lock. */
  async outline(after: string, signal: AbortSignal): Promise<Outline> {
    const { records, more } = await this.#range({ after, limit: PAGE, keysOnly: true }, signal);
    const ids = records.map(record => this.#idOf(record)).filter(id => id !== undefined);
    // A lock comes straight after its task.
    const free = ids.filter((id, at) => id !== ids[at - 1] && id !== ids[at + 1]);
    return { first: ids[0], last: ids.at(-1), free, more };
  }

  /** The task of a record, if it fits this node and this release can read it. */
  parse(id: TaskId, record: StoreRecord): Candidate | undefined {
    try {
      const task = parseRecord(TaskRecord, record);
      return this.#fits(id, task) ? { id, task, revision: record.modRevision } : undefined;
    } catch (error) {
      if (isCiError(error)) return undefined; // Not a task this release can read; a newer node will.
      throw error;
    }
  }

  /** In a queue longer than the window, tasks that rest give way to those behind them. A later reading finds them again. */
  #hasRoom(window: QueueWindow): boolean {
    if (window.isFull) for (const id of [...window.ids]) if (this.#rests(id)) window.remove(id);
    return !window.isFull;
  }

  async #page(window: QueueWindow, page: Page, signal: AbortSignal): Promise<RangeResult> {
    const result = await this.#range(page, signal);
    for (const record of result.records) this.#list(window, record);
    return result;
  }

  #range(page: Page, signal: AbortSignal): Promise<RangeResult> {
    const { store, keys } = this.#cluster;
    return store.range({ prefix: keys.tasks, ...page }, { signal, timeoutMs: CALL_TIMEOUT_MS * 3 });
  }

  /** Takes up one listed key, if the task fits; a lock comes straight after its task. */
  #list(window: QueueWindow, record: StoreRecord): void {
    const parsed = parseTasksKey(this.#cluster.keys, record.key);
    if (parsed?.kind === 'lock') window.remove(parsed.id);
    if (parsed?.kind !== 'task') return;
    const candidate = this.parse(parsed.id, record);
    if (candidate) window.put(parsed.id, { record, candidate, locked: false });
  }

  #idOf({ key }: StoreRecord): TaskId | undefined {
    return parseTasksKey(this.#cluster.keys, key)?.id;
  }
}
