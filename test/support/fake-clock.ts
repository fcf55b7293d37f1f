import type { Clock } from '../../node-runtime/system/clock.ts';

interface Sleeper {
  readonly due: number;
  readonly order: number;
  readonly wake: () => void;
}

const REAL_LIMIT_MS = 30_000;

/**
 * Virtual time: nothing happens between two moments, and everything due happens in its order. Starts at the start of 2026.
 * After each sleeper that wakes, all that can run without time passing runs before the next one does.
 */
export class FakeClock implements Clock {
  #elapsed = 0;
  #wall = Date.UTC(2026, 0, 1);
  #order = 0;
  readonly #sleepers: Sleeper[] = [];

  now(): number {
    return Math.floor(this.#wall + this.#elapsed);
  }

  monotonic(): number {
    return this.#elapsed;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1);
        reject(signal.reason);
      };
      const wake = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
      const sleeper = { due: this.#elapsed + Math.max(0, ms), order: this.#order++, wake };
      signal.addEventListener('abort', abort, { once: true });
      this.#sleepers.push(sleeper);
    });
  }

  /** Lets `ms` pass, waking who is due on the way. */
  async advance(ms: number): Promise<void> {
    const end = this.#elapsed + ms;
    await settle();
    for (let next = this.#takeDue(end); next !== undefined; next = this.#takeDue(end)) {
      this.#elapsed = Math.max(this.#elapsed, next.due);
      next.wake();
      await settle();
    }
    this.#elapsed = end;
  }

  /**
   * Lets time pass, a sleeper at a time, until the condition holds. Throws after `limitMs` of virtual time, and when nobody
   * sleeps and 30 real seconds (for threads and files that virtual time does not rule) have changed nothing.
   */
  async advanceUntil(condition: () => boolean, limitMs = 3_600_000): Promise<void> {
    const end = this.#elapsed + limitMs;
    let patience = performance.now() + REAL_LIMIT_MS;
    for (await settle(); !condition(); await settle()) {
      const next = this.#takeDue(end);
      if (next !== undefined) {
        this.#elapsed = Math.max(this.#elapsed, next.due);
        next.wake();
        patience = performance.now() + REAL_LIMIT_MS;
      } else if (this.#sleepers.length > 0 || performance.now() > patience) {
        throw new Error(`Did not come true within ${limitMs} ms of virtual time: ${condition}`);
      }
    }
  }

  /** The process stands still for so long: whoever was due meanwhile wakes late, by the next advance. */
  standStill(ms: number): void {
    this.#elapsed += ms;
  }

  /** The wall clock is set by this much; what was measured on it before is wrong now. */
  step(ms: number): void {
    this.#wall += ms;
  }

  /** How many wait for time to pass. A test that ends with some has left something running. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  #takeDue(end: number): Sleeper | undefined {
    let first: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      if (first === undefined || sleeper.due < first.due || (sleeper.due === first.due && sleeper.order < first.order))
        first = sleeper;
    }
    if (first === undefined || first.due > end) return undefined;
    this.#sleepers.splice(this.#sleepers.indexOf(first), 1);
    return first;
  }
}

/** Runs all promise reactions there are, and those they lead to. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve));
}
