import type { TaskId } from '../../shared/ids.ts';
import type { Clock } from '../system/clock.ts';

const FIRST_REST_MS = 1000;
const LONGEST_REST_MS = 60_000;
/** Of more, those that were given up longest ago are forgotten: they rest too little, which costs them attempts and nobody else. */
const KEPT = 4096;

interface Rest {
  readonly times: number;
  readonly until: number;
}

/**
 * Tasks that this node has given up lately. Each is left to itself for a while, longer each time, so that what keeps it from
 * running has time to pass, other nodes get it first, and a task that nobody can run does not stand before those that one can.
 * What another node has given up is not known here.
 */
export class RestingTasks {
  readonly #clock: Clock;
  readonly #rests = new Map<TaskId, Rest>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param pauseMs for how long the node claims nothing at all: the rest begins after that, so that others come first then */
  noteGivenUp(id: TaskId, pauseMs: number): void {
    const times = this.#rests.get(id)?.times ?? 0;
    const ms = Math.min(FIRST_REST_MS * 2 ** times, LONGEST_REST_MS);
    this.#rests.delete(id);
    this.#rests.set(id, { times: times + 1, until: this.#clock.monotonic() + pauseMs + ms });
    const [oldest] = this.#rests.keys();
    if (oldest !== undefined && this.#rests.size > KEPT) this.#rests.delete(oldest);
  }

  has(id: TaskId): boolean {
    return (this.#rests.get(id)?.until ?? 0) > this.#clock.monotonic();
  }

  /** Milliseconds until the next of them has rested; undefined when none rests. */
  get nextMs(): number | undefined {
    const now = this.#clock.monotonic();
    let next: number | undefined;
    for (const { until } of this.#rests.values()) if (until > now) next = Math.min(next ?? until, until);
    return next === undefined ? undefined : next - now;
  }
}
