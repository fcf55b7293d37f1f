import type { TaskId } from '../../shared/ids.ts';
import type { TaskRecord } from '../../shared/task.ts';
import type { StoreRecord } from '../store/store.ts';

/** A task in the queue that this node could run. */
export interface Candidate {
  readonly id: TaskId;
  readonly task: TaskRecord;
  /** Of the task.json. */
  readonly revision: number;
}

/** What came by the watch is read only when the task is considered: most are taken by others before that. */
export interface Entry {
  readonly record: StoreRecord;
  candidate: Candidate | undefined;
  locked: boolean;
}

export const MOST_TASKS = 512;
const MOST_BYTES = 8_388_608;

/** The tasks that a queue view keeps in mind, in the order of the queue: not many more than 512, or than 8 MiB. */
export class QueueWindow {
  readonly #entries = new Map<TaskId, Entry>();
  readonly #order: TaskId[] = [];
  #bytes = 0;

  /** In order. */
  get ids(): readonly TaskId[] {
    return this.#order;
  }

  get isFull(): boolean {
    return this.#order.length >= MOST_TASKS || this.#bytes >= MOST_BYTES;
  }

  get(id: TaskId): Entry | undefined {
    return this.#entries.get(id);
  }

  isFree(id: TaskId): boolean {
    return this.#entries.get(id)?.locked === false;
  }

  /** The first `most` tasks without a lock that are not left out. */
  free(most: number, leaveOut: (id: TaskId) => boolean): TaskId[] {
    const found: TaskId[] = [];
    for (const id of this.#order) {
      if (found.length === most) break;
      if (this.isFree(id) && !leaveOut(id)) found.push(id);
    }
    return found;
  }

  put(id: TaskId, entry: Entry): void {
    const known = this.#entries.get(id);
    if (!known) this.#order.splice(this.#placeOf(id), 0, id);
    this.#bytes += entry.record.value.length - (known?.record.value.length ?? 0);
    this.#entries.set(id, entry);
  }

  remove(id: TaskId): void {
    const known = this.#entries.get(id);
    if (!known) return;
    this.#order.splice(this.#placeOf(id), 1);
    this.#bytes -= known.record.value.length;
    this.#entries.delete(id);
  }

  /** Where a task stands, or would. */
  #placeOf(id: TaskId): number {
    let [from, to] = [0, this.#order.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.#order[middle]! < id) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
