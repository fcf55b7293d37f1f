import type { Process } from './machine.ts';

/** So many bytes wait in a pipe before its writer does. */
const PIPE_BYTES = 65_536;

/** A pipe between a task's process and the node. */
export class OutputPipe {
  readonly #reader: Process;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #isClosed = false;
  #onData: (() => void) | undefined;
  #onRoom: (() => void) | undefined;

  constructor(reader: Process) {
    this.#reader = reader;
  }

  async write(bytes: Buffer, writer: Process): Promise<void> {
    while (this.#bytes >= PIPE_BYTES && !this.#isClosed)
      await new Promise<void>(resolve => {
        this.#onRoom = () => writer.deliver(resolve);
      });
    if (this.#isClosed) return;
    this.#chunks.push(bytes);
    this.#bytes += bytes.length;
    this.#onData?.();
  }

  /** Nobody can write any more. */
  close(): void {
    this.#isClosed = true;
    this.#onData?.();
    this.#onRoom?.();
  }

  async *read(): AsyncGenerator<Buffer> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk) {
        this.#bytes -= chunk.length;
        this.#onRoom?.();
        yield chunk;
      } else if (this.#isClosed) return;
      else
        await new Promise<void>(resolve => {
          this.#onData = () => this.#reader.deliver(resolve);
        });
    }
  }
}
