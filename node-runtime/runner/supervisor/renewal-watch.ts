import { type Clock, type Moment, momentOf } from '../../system/clock.ts';

/**
 * How long ago the last acknowledged renewal was sent. A machine that sleeps stops its monotonic clock but not its calendar,
 * and a calendar may be set: the longer of both counts. Both are counted from the sending: the machine may have slept while
 * the news of it lay in a pipe.
 */
export class RenewalWatch {
  readonly #clock: Clock;
  #sent: Moment;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sent = momentOf(clock);
  }

  renewed(sent: Moment): void {
    if (sent.monotonic > this.#sent.monotonic) this.#sent = sent;
  }

  /** In milliseconds. */
  get age(): number {
    return Math.max(this.#clock.monotonic() - this.#sent.monotonic, this.#clock.now() - this.#sent.wall);
  }
}
