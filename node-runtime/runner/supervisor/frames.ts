/** Larger than any command with its environment; a length beyond it means that the other side is not speaking this protocol. */
const LARGEST_FRAME_BYTES = 8 * 1024 * 1024;

/** A message as it travels between node and supervisor: its length in four bytes, then JSON. */
export function encodeFrame(message: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(message));
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32BE(body.length);
  body.copy(frame, 4);
  return frame;
}

/** Cuts a stream of bytes into messages. Throws at what is no frame; nothing can be read after that. */
export class FrameReader {
  readonly #largest: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(largest = LARGEST_FRAME_BYTES) {
    this.#largest = largest;
  }

  *read(bytes: Buffer): Generator<unknown> {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= 4) {
      const length = this.#rest.readUInt32BE();
      if (length > this.#largest) throw new Error(`Cannot read a frame of ${length} bytes`);
      if (this.#rest.length < 4 + length) return;
      const body = this.#rest.subarray(4, 4 + length);
      this.#rest = this.#rest.subarray(4 + length);
      yield JSON.parse(body.toString());
    }
  }
}
