import { Wakeup } from '../system/wakeup.ts';

/** How many pieces of logs the readers of one client may hold between them, so that many that stand still cost little more than one. */
export class BlockRoom {
  #free: number;
  #waiting = 0;
  readonly #given = new Wakeup();
  readonly #wanted = new Wakeup();

  constructor(most: number) {
    this.#free = most;
  }

  /** Takes a place, if there is one, for what will be needed later. */
  tryTake(): boolean {
    if (this.#free === 0) return false;
    this.#free--;
    return true;
  }

  /** Takes a place for what is needed now: waits for one, and lets those who hold some know. */
  async take(signal: AbortSignal): Promise<void> {
    this.#waiting++;
    try {
      while (!this.tryTake()) {
        this.#wanted.notify();
        await this.#given.wait(signal);
        signal.throwIfAborted();
      }
    } finally {
      this.#waiting--;
    }
  }

  give(places = 1): void {
    this.#free += places;
    this.#given.notify();
  }

  /** Resolves when somebody waits for a place, or quietly when the signal fires. */
  async untilWanted(signal: AbortSignal): Promise<void> {
    while (this.#waiting === 0 && !signal.aborted) await this.#wanted.wait(signal);
  }
}
