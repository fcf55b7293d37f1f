import type { Renewal } from '../../cluster/session.ts';
import type { LeaseId } from '../../store/store.ts';
import type { Clock } from '../../system/clock.ts';
import { Wakeup } from '../../system/wakeup.ts';

/**
 * The last acknowledged renewal that the supervisor has heard of, and of which lease: a node that has lost its lease renews
 * another one, which says nothing about claims that stood under the first.
 *
 * A machine that sleeps stops its monotonic clock but not its calendar, and a calendar may be set: the longer of both counts.
 * Both are counted from the sending: the machine may have slept while the news of it lay in a pipe.
 */
export class RenewalWatch {
  readonly #clock: Clock;
  readonly #freezeAfterMs: number;
  #last: Renewal | undefined;
  /** Notified at each renewal. */
  readonly heard = new Wakeup();

  constructor(clock: Clock, freezeAfterMs: number) {
    this.#clock = clock;
    this.#freezeAfterMs = freezeAfterMs;
  }

  renewed({ lease, sent }: Renewal): void {
    if (this.#last && sent.monotonic <= this.#last.sent.monotonic) return;
    this.#last = { lease, sent };
    this.heard.notify();
  }

  /** Whether the store cannot have ended this lease yet, nor will for a while. */
  isAlive(lease: LeaseId): boolean {
    return this.#last?.lease === lease && this.#age(this.#last.sent) <= this.#freezeAfterMs;
  }

  #age({ monotonic, wall }: Renewal['sent']): number {
    return Math.max(this.#clock.monotonic() - monotonic, this.#clock.now() - wall);
  }
}
