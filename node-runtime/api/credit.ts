import { MAX_LOG_CREDIT } from '../../shared/socket-protocol.ts';
import { Wakeup } from '../system/wakeup.ts';

/** How many bytes a client is ready to take: it gives, the sender takes. */
export class Credit {
  readonly #given = new Wakeup();
  #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  give(bytes: number): void {
    this.#bytes = Math.min(this.#bytes + bytes, MAX_LOG_CREDIT);
    this.#given.notify();
  }

  get isUsedUp(): boolean {
    return this.#bytes === 0;
  }

  /** Resolves when there is some, or quietly when the signal fires. */
  async untilGiven(signal: AbortSignal): Promise<void> {
    while (this.#bytes === 0 && !signal.aborted) await this.#given.wait(signal);
  }

  /** Takes up to `most` bytes, at least one; waits while there are none. */
  async take(most: number, signal: AbortSignal): Promise<number> {
    await this.untilGiven(signal);
    signal.throwIfAborted();
    const taken = Math.min(most, this.#bytes);
    this.#bytes -= taken;
    return taken;
  }
}
