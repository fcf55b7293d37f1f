import type { TLSSocket } from 'node:tls';
import { neverAborted } from '../system/clock.ts';
import { Wakeup } from '../system/wakeup.ts';

/** The output of a command as it comes from a pod, and how much of it has been read by whom it is for. */
export class StreamReader {
  readonly #socket: Promise<TLSSocket>;
  /** The pod is gone: what has not come will not come. */
  readonly #gone: AbortSignal;
  readonly #changed = new Wakeup();
  #read = 0;
  #isOver = false;

  constructor(socket: Promise<TLSSocket>, gone: AbortSignal) {
    this.#socket = socket;
    this.#gone = gone;
  }

  async *bytes(): AsyncGenerator<Uint8Array> {
    try {
      for await (const bytes of await this.#socket) {
        yield bytes;
        this.#read += bytes.length;
        this.#changed.notify();
      }
    } catch (error) {
      if (!this.#gone.aborted) throw error;
    } finally {
      this.#isOver = true;
      this.#changed.notify();
    }
  }

  /** Resolves when so many bytes have been read, or no more will be. */
  async read(count: number): Promise<void> {
    while (this.#read < count && !this.#isOver) await this.#changed.wait(neverAborted);
  }
}
