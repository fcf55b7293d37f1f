import type { Clock } from '../../system/clock.ts';

/**
 * How long ago the last acknowledged renewal was sent. A machine that sleeps stops its monotonic clock but not its calendar,
 * and a calendar may be set: the longer of both counts.
 */
export class RenewalWatch {
  readonly #clock: Clock;
  #sent: { readonly monotonic: number; readonly wall: number };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sent = { monotonic: clock.monotonic(), wall: clock.now() };
  }

  renewed(sentAt: number): void {
    if (!(sentAt > this.#sent.monotonic)) return;
    const age = this.#clock.monotonic() - sentAt;
    this.#sent = { monotonic: sentAt, wall: this.#clock.now() - age };
  }

  /** In milliseconds. */
  get age(): number {
    return Math.max(this.#clock.monotonic() - this.#sent.monotonic, this.#clock.now() - this.#sent.wall);
  }
}
