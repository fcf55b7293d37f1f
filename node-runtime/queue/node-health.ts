import type { Clock } from '../system/clock.ts';

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

/**
 * Whether this node does its tasks any good. One whose attempts fail by its own fault (a full disk, an object store that it
 * cannot reach) stops claiming for a while, longer each time, so that a healthy node gets the task before a sick one has
 * used up its attempts. Attempts that fail together, before or while it pauses, fail by the same fault and count once.
 */
export class NodeHealth {
  readonly #clock: Clock;
  #failures = 0;
  #until = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isWell(): boolean {
    return this.pauseMs === 0;
  }

  /** For how long it claims nothing from now on, in milliseconds. */
  get pauseMs(): number {
    return Math.max(0, this.#until - this.#clock.monotonic());
  }

  /** @returns whether a pause begins with it */
  noteFailure(): boolean {
    if (!this.isWell) return false;
    this.#until = this.#clock.monotonic() + Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures++;
    return true;
  }

  noteSuccess(): void {
    this.#failures = 0;
  }
}
