import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** One change of one key, as etcd tells it. */
export interface TapeEvent {
  readonly revision: number;
  /** When it was first heard of, by `performance.now()` of the harness. */
  readonly at: number;
  readonly kind: 'put' | 'delete';
  readonly key: string;
  /** Absent for a deletion, and for keys that are not the cluster's. */
  readonly value?: string;
  /** The revision that created the key; 0 for a deletion. */
  readonly created: number;
  /** How often the key was written since. */
  readonly version: number;
  /** '0' without one. */
  readonly lease: string;
}

interface WireEvent {
  readonly type?: 'DELETE';
  readonly kv: {
    readonly key: string;
    readonly value?: string;
    readonly mod_revision: string;
    readonly create_revision?: string;
    readonly version?: string;
    readonly lease?: string;
  };
}

interface WireMessage {
  readonly result?: {
    readonly canceled?: boolean;
    readonly cancel_reason?: string;
    readonly compact_revision?: string;
    readonly events?: readonly WireEvent[];
  };
  readonly error?: { readonly message?: string };
}

const RECONNECT_MS = 100;
const EVERYTHING = Buffer.from('\0').toString('base64');

/**
 * The whole history of an etcd from its first revision on, by watchers of its own that use nothing of the product: etcd's JSON
 * gateway, one stream to each member. Each stream is without a gap by itself, so whichever tells of a revision first extends
 * the tape, and a member that is stopped, cut off or dead delays nothing. Whether all members tell the same is `check-tape`'s
 * business no more than whether revisions are missing: the tape is contiguous or it says that it is torn.
 */
export class Tape implements AsyncDisposable {
  readonly events: TapeEvent[] = [];
  /** Why the tape is not the whole history, if it is not. */
  torn: string | undefined;
  readonly #root: string;
  readonly #stop = new AbortController();
  readonly #waiting = new Set<() => void>();
  #streams: Promise<void>[] = [];
  #head = 1;

  /** @param root the prefix whose values are kept */
  constructor(root: string) {
    this.#root = root;
  }

  static start(endpoints: readonly string[], root: string): Tape {
    const tape = new Tape(root);
    tape.#streams = endpoints.map(endpoint => tape.#follow(endpoint));
    return tape;
  }

  /** The last revision that is on the tape. */
  get head(): number {
    return this.#head;
  }

  /** Resolves when there is more, or the signal fires. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#streams);
  }

  async #follow(endpoint: string): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && !this.torn) {
      await this.#listen(endpoint).catch(() => undefined); // A member that is away is asked again.
      await sleep(RECONNECT_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One stream, until it ends. A stream that begins at the tape's end misses nothing. */
  async #listen(endpoint: string): Promise<void> {
    const { signal } = this.#stop;
    const from = this.#head + 1;
    const outgoing = request(`${endpoint}/v3/watch`, { method: 'POST', agent: false, signal });
    outgoing.write(
      JSON.stringify({ create_request: { key: EVERYTHING, range_end: EVERYTHING, start_revision: String(from) } }),
    );
    const incoming = await answerTo(outgoing);
    const lines = createInterface({ input: incoming });
    // However it ends, its lines end; when we have ended it ourselves, nobody waits for them any more.
    incoming.on('error', () => undefined).once('close', () => lines.close());
    lines.on('error', () => undefined);
    try {
      for await (const line of lines) this.#take(JSON.parse(line) as WireMessage, from);
    } finally {
      outgoing.destroy();
    }
  }

  #take({ result, error }: WireMessage, from: number): void {
    if (error || !result) throw new Error(`etcd ended a watch: ${error?.message}`);
    if (result.canceled) {
      const compacted = Number(result.compact_revision ?? 0);
      if (compacted > this.#head + 1) this.#tear(`etcd was compacted at ${compacted}, the tape ends at ${this.#head}`);
      throw new Error(`etcd cancelled a watch from ${from}: ${result.cancel_reason}`);
    }
    const at = performance.now();
    const head = this.#head;
    for (const event of result.events ?? []) {
      const revision = Number(event.kv.mod_revision);
      if (revision <= head) continue; // Another member has told it.
      if (revision > this.#head + 1) this.#tear(`revision ${revision} came after ${this.#head}`);
      this.#head = revision;
      this.events.push(this.#read(event, revision, at));
    }
    if (this.#head > head) for (const notify of [...this.#waiting]) notify();
  }

  #tear(why: string): void {
    this.torn ??= why;
  }

  #read({ type, kv }: WireEvent, revision: number, at: number): TapeEvent {
    const key = decode(kv.key);
    const isOurs = key.startsWith(this.#root);
    return {
      revision,
      at,
      kind: type === 'DELETE' ? 'delete' : 'put',
      key,
      ...(type !== 'DELETE' && isOurs && { value: decode(kv.value ?? '') }),
      created: Number(kv.create_revision ?? 0),
      version: Number(kv.version ?? 0),
      lease: kv.lease ?? '0',
    };
  }
}

function answerTo(outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.once('response', resolve);
    outgoing.on('error', reject);
  });
}

function decode(base64: string): string {
  return Buffer.from(base64, 'base64').toString();
}
