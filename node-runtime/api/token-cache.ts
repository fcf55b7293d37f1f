import type { Cluster } from '../cluster/cluster.ts';
import { readToken, type TokenRecord } from '../cluster/tokens.ts';

/** How long a node may believe what it has read of a token: a revoked one works this long at most, in milliseconds. */
const BELIEVE_MS = 10_000;
/** How long it remembers that there is no such token. */
const DOUBT_MS = 3000;
const MOST_ENTRIES = 2000;

interface Entry {
  readonly record: Promise<TokenRecord | undefined>;
  until: number;
  wasThere: boolean;
}

/** Token records, read from the store at most once in ten seconds each, however many requests carry them. */
export class TokenCache {
  readonly #cluster: Cluster;
  readonly #signal: AbortSignal;
  /** In the order in which they were read: the oldest goes first when there are too many. */
  readonly #entries = new Map<string, Entry>();

  constructor(cluster: Cluster, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#signal = signal;
  }

  /** Whether asking for it costs nothing, or is worth its cost as there was such a token a while ago. */
  knows(id: string): boolean {
    const entry = this.#entries.get(id);
    return entry !== undefined && (entry.wasThere || this.#isFresh(entry));
  }

  get(id: string): Promise<TokenRecord | undefined> {
    const entry = this.#entries.get(id);
    return entry && this.#isFresh(entry) ? entry.record : this.#read(id, entry?.wasThere ?? false);
  }

  forget(id: string): void {
    this.#entries.delete(id);
  }

  #isFresh({ until }: Entry): boolean {
    return until > this.#cluster.clock.monotonic();
  }

  #read(id: string, wasThere: boolean): Promise<TokenRecord | undefined> {
    const start = this.#cluster.clock.monotonic();
    const entry: Entry = { record: readToken(this.#cluster, id, this.#signal), until: start + BELIEVE_MS, wasThere };
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    if (this.#entries.size > MOST_ENTRIES) this.#entries.delete(this.#entries.keys().next().value as string);
    entry.record.then(
      record => {
        entry.wasThere = record !== undefined;
        if (!record) entry.until = start + DOUBT_MS;
      },
      () => {
        if (this.#entries.get(id) === entry) this.#entries.delete(id);
      },
    );
    return entry.record;
  }
}
