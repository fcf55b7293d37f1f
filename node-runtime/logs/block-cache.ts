import type { LogPiece } from '../../shared/log-piece.ts';
import { orAborted } from '../objects/until-aborted.ts';

/** So many blocks of 1 MiB are kept for who comes next. */
const MOST_KEPT = 8;

interface Entry {
  readonly block: Promise<LogPiece | undefined>;
  /** Ends the fetching when nobody waits for it any more. */
  readonly unwanted: AbortController;
  waiting: number;
  isFetched: boolean;
}

/**
 * Blocks of logs that were read lately, and those that are on their way: who reads the same log at about the same place shares
 * them, so that a crowd costs the object store and the memory of a node little more than one reader does. A block never changes.
 */
export class BlockCache {
  /** In the order in which they were last asked for. */
  readonly #entries = new Map<string, Entry>();

  /** What `fetch` gives, once for all who ask meanwhile. A block that is not there, or failed, is not remembered. */
  async get(
    key: string,
    fetch: (signal: AbortSignal) => Promise<LogPiece | undefined>,
    signal: AbortSignal,
  ): Promise<LogPiece | undefined> {
    const entry = this.#entries.get(key) ?? this.#begin(key, fetch);
    this.#renew(key, entry);
    entry.waiting++;
    try {
      return await orAborted(entry.block, signal);
    } finally {
      entry.waiting--;
      if (entry.waiting === 0 && !entry.isFetched) {
        this.#forget(key, entry);
        entry.unwanted.abort(new DOMException('Nobody reads the block any more', 'AbortError'));
      }
    }
  }

  #begin(key: string, fetch: (signal: AbortSignal) => Promise<LogPiece | undefined>): Entry {
    const unwanted = new AbortController();
    const entry: Entry = { block: fetch(unwanted.signal), unwanted, waiting: 0, isFetched: false };
    entry.block.then(
      block => {
        entry.isFetched = true;
        if (!block) this.#forget(key, entry);
      },
      () => this.#forget(key, entry),
    );
    return entry;
  }

  #renew(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    for (const [oldest, { isFetched }] of this.#entries) {
      if (this.#entries.size <= MOST_KEPT) return;
      if (isFetched) this.#entries.delete(oldest);
    }
  }

  #forget(key: string, entry: Entry): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }
}
