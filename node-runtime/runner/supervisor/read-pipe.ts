import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';

/** The reading end of a named pipe. Not reading it fills the pipe (64 KiB) and then holds up whoever writes. */
export class PipeReader {
  readonly #socket: Socket;
  #isCut = false;

  /** Opens it before there is a writer; one must come before `bytes` is read, or it is at its end already. */
  constructor(path: string) {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.#socket = new Socket({ fd, readable: true, writable: false });
    this.#socket.on('error', () => undefined);
  }

  /** Ends when nobody can write any more, or at `cut`. */
  async *bytes(): AsyncGenerator<Uint8Array> {
    try {
      for await (const bytes of this.#socket) yield bytes;
    } catch (error) {
      if (!this.#isCut) throw error;
    }
  }

  /** Gives up what is still in the pipe. */
  cut(): void {
    this.#isCut = true;
    this.#socket.destroy();
  }
}
