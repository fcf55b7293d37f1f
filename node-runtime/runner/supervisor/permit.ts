import type { LeaseId } from '../../store/store.ts';
import type { Clock } from '../../system/clock.ts';
import type { RenewalWatch } from './renewal-watch.ts';
import { Standstill } from './standstill.ts';

/**
 * Whether what is in a sandbox may run: not while it is frozen, and nothing may begin or go on while the supervisor does not
 * know that the lease of its claim lives. The node cannot be asked: it may have been stopped after it claimed the task or had
 * a look at its lock, and what it then told the supervisor to do may have lain in the pipe.
 *
 * A renewal of that very lease is proof enough for a command to begin: as long as a lease lives, nobody but its own node
 * deletes a lock under it.
 */
export class Permit {
  readonly #lease: LeaseId;
  readonly #renewals: RenewalWatch;
  readonly #clock: Clock;
  readonly #standstill = new Standstill();
  #frozenSince: number | undefined;
  #changed = new AbortController();

  constructor(lease: LeaseId, renewals: RenewalWatch, clock: Clock) {
    this.#lease = lease;
    this.#renewals = renewals;
    this.#clock = clock;
  }

  /** Nothing may be waited for between a look at this and the start of a command. */
  get isGiven(): boolean {
    return this.#frozenSince === undefined && this.isLeaseAlive;
  }

  get isLeaseAlive(): boolean {
    return this.#renewals.isAlive(this.#lease);
  }

  /** By `Clock.monotonic`; undefined while it is not frozen. */
  get frozenSince(): number | undefined {
    return this.#frozenSince;
  }

  /** How many milliseconds since then it has been frozen. */
  stoodStill(since: number): number {
    return this.#standstill.between(since, this.#clock.monotonic());
  }

  freeze(): void {
    if (this.#frozenSince !== undefined) return;
    this.#frozenSince = this.#clock.monotonic();
    this.#standstill.begin(this.#frozenSince);
  }

  /** Throws when the lease is not known to be alive: what is frozen stays so, and whoever asked looks at the lock again. */
  thaw(): void {
    if (!this.isLeaseAlive) throw new Error('Cannot let a task go on as no renewal of its lease was heard of lately');
    this.lift();
  }

  /** Ends a freeze whatever has become of the lease: nothing is left that would go on. */
  lift(): void {
    if (this.#frozenSince !== undefined) this.#standstill.end(this.#clock.monotonic());
    this.#frozenSince = undefined;
    this.#changed.abort();
    this.#changed = new AbortController();
  }

  /** Resolves when there is something new: a renewal, or the end of a freeze. */
  async changed(): Promise<void> {
    await this.#renewals.heard.wait(this.#changed.signal);
  }
}
