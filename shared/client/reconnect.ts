import { CiError } from '../errors.ts';
import type { HttpCaller } from './http.ts';
import { type Incoming, type Subscription, subscribe, type Wanted } from './subscription.ts';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
const PATIENCE_MS = 120_000;
/** A connection that broke sooner, and brought nothing new, is one more failure of a row; any other begins a new row. */
const LIVED_MS = 5000;

/** `connected` comes before the first message of each connection. */
export type Delivery =
  | { readonly kind: 'connected'; readonly from: Subscription }
  | { readonly kind: 'message'; readonly message: Incoming; readonly from: Subscription };

/**
 * A subscription that outlives its connections: when one breaks, the next node is asked, for what `wanted` says then. Before
 * any connection has stood, each node is tried once; later, until one answers or the patience is used up. Refusals end it.
 */
export async function* keepSubscribed(
  http: HttpCaller,
  wanted: () => Wanted,
  signal: AbortSignal,
): AsyncGenerator<Delivery> {
  const row = new Failures(() => http.urls.length, http.options.patienceMs ?? PATIENCE_MS);
  for (let at = http.urls.indexOf(http.url); ; at = (at + 1) % http.urls.length) {
    try {
      using subscription = await subscribe(http, http.urls[at] as string, wanted(), signal);
      row.noteConnected();
      yield { kind: 'connected', from: subscription };
      for await (const message of subscription) {
        if (message.type !== 'attempt' && message.type !== 'snapshot') row.noteProgress();
        yield { kind: 'message', message, from: subscription };
      }
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof CiError) || (error.code !== 'unavailable' && error.code !== 'rate-limited')) throw error;
      row.noteFailed();
      if (row.isHopeless) throw error;
      await pause(row.pauseMs, signal);
    }
  }
}

/** Failures in a row, and what follows from them. */
class Failures {
  /** Asked each time: nodes may be learned on the way. */
  readonly #nodes: () => number;
  readonly #patienceMs: number;
  #count = 0;
  #since = 0;
  #connectedAt: number | undefined;
  #hasConnected = false;

  constructor(nodes: () => number, patienceMs: number) {
    this.#nodes = nodes;
    this.#patienceMs = patienceMs;
  }

  noteConnected(): void {
    this.#hasConnected = true;
    this.#connectedAt = Date.now();
  }

  noteProgress(): void {
    this.#count = 0;
  }

  noteFailed(): void {
    const now = Date.now();
    if (this.#connectedAt !== undefined && now - this.#connectedAt > LIVED_MS) this.#count = 0;
    this.#connectedAt = undefined;
    if (this.#count++ === 0) this.#since = now;
  }

  get isHopeless(): boolean {
    return this.#hasConnected ? Date.now() - this.#since > this.#patienceMs : this.#count >= this.#nodes();
  }

  /** None until each node has failed once, then longer each time; by chance more or less, so that not all come back at once. */
  get pauseMs(): number {
    const rounds = this.#count - this.#nodes();
    return rounds < 0 ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** rounds, LONGEST_PAUSE_MS) * (0.5 + Math.random());
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal.addEventListener('abort', abort, { once: true });
  });
}
