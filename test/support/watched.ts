import type { Change, Store, WatchBatch, WatchRequest } from '../../node-runtime/store/store.ts';
import { until } from './until.ts';

/** A watch in the background, and what it has seen. */
export class Watched implements AsyncDisposable {
  readonly batches: WatchBatch[] = [];
  readonly changes: Change[] = [];
  error: unknown;
  hasEnded = false;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  /** @param keys a prefix, or a stretch of one */
  constructor(store: Store, keys: string | Omit<WatchRequest, 'from'>, from: number) {
    const wanted = typeof keys === 'string' ? { prefix: keys } : keys;
    this.#done = this.#collect(store.watch({ ...wanted, from }, this.#stop.signal));
  }

  /** Waits until so many changes have come; whether more come shows later. */
  async atLeast(count: number): Promise<void> {
    await until(`${count} changes, has ${this.changes.length}`, () => {
      if (this.error !== undefined) throw this.error;
      return this.changes.length >= count;
    });
  }

  get keys(): string[] {
    return this.changes.map(change => (change.kind === 'put' ? change.record.key : change.key));
  }

  get revisions(): number[] {
    return this.changes.map(change => (change.kind === 'put' ? change.record.modRevision : change.revision));
  }

  stop(): Promise<void> {
    this.#stop.abort();
    return this.#done;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #collect(batches: AsyncIterable<WatchBatch>): Promise<void> {
    try {
      for await (const batch of batches) {
        this.batches.push(batch);
        this.changes.push(...batch.changes);
      }
    } catch (error) {
      this.error = error;
    }
    this.hasEnded = true;
  }
}
