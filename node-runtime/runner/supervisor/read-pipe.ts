import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { neverAborted } from '../../system/clock.ts';
import { Wakeup } from '../../system/wakeup.ts';

/** All that a pipe holds. */
const BUFFER_BYTES = 65_536;

/**
 * The reading end of a named pipe. Not reading it fills the pipe (64 KiB) and then holds up whoever writes.
 *
 * There is one buffer for all that is read. A new one for each read would cost a node 8 % more of its processor time for a log,
 * half of that in the kernel: V8 counts what lies beside its heap and collects its garbage more often.
 */
export class PipeReader {
  readonly #socket: Socket;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  /** How much of the buffer has not been given yet. Nothing is read while there is any. */
  #count = 0;
  readonly #changed = new Wakeup();
  #failure: Error | undefined;
  #isCut = false;

  /** Opens it before there is a writer; one must come before `bytes` is read, or it is at its end already. */
  constructor(path: string) {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const callback = (count: number) => {
      this.#count = count;
      this.#changed.notify();
      return false;
    };
    this.#socket = new Socket({ fd, readable: true, writable: false, onread: { buffer: this.#buffer, callback } });
    this.#socket.on('error', error => {
      this.#failure = error;
    });
    this.#socket.on('close', () => this.#changed.notify());
  }

  /** Each is good until the next is asked for. Ends when nobody can write any more, or at `cut`. */
  async *bytes(): AsyncGenerator<Uint8Array> {
    try {
      while (await this.#more()) {
        yield this.#buffer.subarray(0, this.#count);
        this.#count = 0;
      }
      if (this.#failure && !this.#isCut) throw this.#failure;
    } finally {
      this.#socket.destroy();
    }
  }

  /** Gives up what is still in the pipe. */
  cut(): void {
    this.#isCut = true;
    this.#socket.destroy();
  }

  async #more(): Promise<boolean> {
    while (this.#count === 0 && !this.#socket.closed) {
      this.#socket.resume();
      await this.#changed.wait(neverAborted);
    }
    return this.#count > 0;
  }
}
