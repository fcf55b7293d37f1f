import type { Clock } from '../system/clock.ts';

/** So many wrong tokens an address may show at once; then one more each second. */
const BURST = 20;
const PER_SECOND = 1;
const MOST_ADDRESSES = 10_000;

/**
 * Remembers who has been showing tokens that do not exist. Only what would cost a question to the store is held back:
 * tokens that are known go on working, whoever else shares their address.
 */
export class FailureLimit {
  readonly #clock: Clock;
  readonly #failures = new Map<string, { count: number; at: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  isExceeded(address: string): boolean {
    return this.#count(address) >= BURST;
  }

  note(address: string): void {
    const count = this.#count(address) + 1;
    this.#failures.delete(address);
    this.#failures.set(address, { count, at: this.#clock.monotonic() });
    if (this.#failures.size > MOST_ADDRESSES) this.#failures.delete(this.#failures.keys().next().value as string);
  }

  #count(address: string): number {
    const known = this.#failures.get(address);
    if (!known) return 0;
    return Math.max(0, known.count - ((this.#clock.monotonic() - known.at) / 1000) * PER_SECOND);
  }
}
