import type { TaskId } from '../../shared/ids.ts';
import { type Keyspace, parseTasksKey } from '../../shared/keyspace.ts';
import type { Change } from '../../node-runtime/store/store.ts';
import type { Scheduler } from './scheduler.ts';
import type { Violation } from './violation.ts';

/** A task that comes before all others in the queue, or comes back there, is taken within this, however crowded the queue. */
const FIRST_MS = 20_000;
/** And all others within this: the queue of a simulated crowd is a minute's work. */
const ANY_MS = 180_000;

/** Whether any task waits for too long while others are taken. Asked only when nothing is wrong. */
export class QueueFairness {
  readonly #keys: Keyspace;
  readonly #scheduler: Scheduler;
  readonly #isAsked: () => boolean;
  readonly #onViolation: (violation: Violation) => void;
  /** Tasks without a lock, and since when. */
  readonly #free = new Map<TaskId, number>();

  constructor(parts: {
    readonly keys: Keyspace;
    readonly scheduler: Scheduler;
    readonly isAsked: () => boolean;
    readonly onViolation: (violation: Violation) => void;
  }) {
    this.#keys = parts.keys;
    this.#scheduler = parts.scheduler;
    this.#isAsked = parts.isAsked;
    this.#onViolation = parts.onViolation;
  }

  take(changes: readonly Change[]): void {
    const ended = new Set<TaskId>();
    for (const { id, kind, isPut } of this.#parse(changes)) if (kind === 'task' && !isPut) ended.add(id);
    for (const { id, kind, isPut } of this.#parse(changes)) {
      if (ended.has(id) || (kind === 'lock' && isPut)) this.#free.delete(id);
      else if (!this.#free.has(id) && (kind === 'lock' || isPut)) this.#freed(id);
    }
  }

  #freed(id: TaskId): void {
    const since = this.#scheduler.now;
    this.#free.set(id, since);
    if (!this.#isAsked()) return;
    const isFirst = [...this.#free.keys()].every(other => id <= other);
    this.#scheduler.after(isFirst ? FIRST_MS : ANY_MS, () => {
      if (this.#free.get(id) !== since) return;
      const where = isFirst ? 'at the head of the queue' : 'in the queue';
      const text = `Task ${id} waits ${where} for ${(this.#scheduler.now - since) / 1000} s though nothing is wrong`;
      this.#onViolation({ invariant: 'I16', task: id, text });
    });
  }

  *#parse(changes: readonly Change[]): Generator<{ id: TaskId; kind: 'task' | 'lock'; isPut: boolean }> {
    for (const change of changes) {
      const parsed = parseTasksKey(this.#keys, change.kind === 'put' ? change.record.key : change.key);
      if (parsed) yield { ...parsed, isPut: change.kind === 'put' };
    }
  }
}
