import type { Clock } from '../system/clock.ts';

/** How far the logs that a node writes are behind in the object store. */
export class LogLag {
  readonly #clock: Clock;
  /** When each piece that is on its way was handed over. Their order is that of time. */
  readonly #underWay = new Map<object, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** For how long the oldest piece has been on its way, in milliseconds; 0 when none is. */
  get ms(): number {
    const [oldest] = this.#underWay.values();
    return oldest === undefined ? 0 : this.#clock.monotonic() - oldest;
  }

  /** A piece is on its way until this is disposed of. */
  begin(): Disposable {
    const piece = {};
    this.#underWay.set(piece, this.#clock.monotonic());
    return { [Symbol.dispose]: () => void this.#underWay.delete(piece) };
  }
}
