import { Wakeup } from '../system/wakeup.ts';

/** Room for running tasks on this node. */
export class Slots {
  readonly total: number;
  /** Notified when slots become free. */
  readonly freed = new Wakeup();
  #used = 0;

  constructor(total: number) {
    this.total = total;
  }

  get free(): number {
    return this.total - this.#used;
  }

  get used(): number {
    return this.#used;
  }

  /** Takes `count` slots, which must be free, until the result is disposed of. */
  take(count: number): Disposable {
    if (count > this.free) throw new RangeError(`Cannot take ${count} slots as only ${this.free} are free`);
    this.#used += count;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#used -= count;
        this.freed.notify();
      },
    };
  }

  /** Resolves when at least one slot is free, or quietly when the signal fires. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.free === 0 && !signal.aborted) await this.freed.wait(signal);
  }
}
