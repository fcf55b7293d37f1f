import type { TLSSocket } from 'node:tls';
import { orAborted } from '../objects/until-aborted.ts';
import type { Clock } from '../system/clock.ts';
import { Wakeup } from '../system/wakeup.ts';
import { OVERDUE_MS, sleepAwake } from './overdue.ts';

/** More than can be on its way when the last command is dead. */
const MOST_ON_ITS_WAY = 64 * 1024 * 1024;

/** The output of a command as it comes from a pod, and how much of it has been read by whom it is for. */
export class StreamReader {
  readonly #socket: Promise<TLSSocket>;
  /** The pod is gone: what has not come will not come. */
  readonly #gone: AbortSignal;
  readonly #clock: Clock;
  readonly #changed = new Wakeup();
  readonly #cut = new AbortController();
  #read = 0;
  /** Whom it is for has something in hand. */
  #isHeld = false;
  #isOver = false;

  constructor(clock: Clock, socket: Promise<TLSSocket>, gone: AbortSignal) {
    this.#clock = clock;
    this.#socket = socket;
    this.#gone = gone;
  }

  async *bytes(): AsyncGenerator<Uint8Array> {
    try {
      for await (const bytes of await orAborted(this.#socket, this.#cut.signal)) {
        this.#isHeld = true;
        yield bytes;
        this.#isHeld = false;
        this.#read += bytes.length;
        this.#changed.notify();
      }
    } catch (error) {
      if (!this.#gone.aborted && !this.#cut.signal.aborted) throw error;
    } finally {
      this.#isOver = true;
      this.#changed.notify();
    }
  }

  /** Resolves when so many bytes have been read, no more will be, or they are waited for no longer. */
  async read(count: number, limit: AbortSignal): Promise<void> {
    while (this.#read < count && !this.#isOver && !limit.aborted) await this.#changed.wait(limit);
  }

  /** To be called when nothing prints any more: what an honest pod has sent comes soon, and then its end. */
  async finish(): Promise<void> {
    const most = this.#read + MOST_ON_ITS_WAY;
    const isHonest = () => this.#isHeld && this.#read <= most;
    do await sleepAwake(this.#clock, OVERDUE_MS, this.#gone).catch(() => undefined);
    while (!this.#isOver && !this.#gone.aborted && isHonest());
    if (this.#isOver) return;
    this.#cut.abort(new Error('Its end is overdue'));
    await this.#socket.then(
      socket => socket.destroy(),
      () => undefined,
    );
  }
}
