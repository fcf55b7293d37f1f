import type { LogBytesEvent, LogEndEvent, LogMarkEvent } from './log.ts';

/**
 * Where a reader of one attempt's log is, so that it can go on with another source at exactly that place: another node, or
 * the object store. A source that starts at an offset gives the marks at that offset again; the cursor drops those.
 */
export class LogCursor {
  #offset: number;
  /** How many marks at the offset were seen. */
  #marksHere = 0;
  /** How many of them a new source is about to repeat. */
  #repeated = 0;

  constructor(offset: number) {
    this.#offset = offset;
  }

  /** The next byte to read. */
  get offset(): number {
    return this.#offset;
  }

  /** To be called when a new source is asked to start at `offset`. */
  resume(): number {
    this.#repeated = this.#marksHere;
    return this.#offset;
  }

  /** What lies before the offset is not wanted. */
  skipTo(offset: number): void {
    if (offset <= this.#offset) return;
    this.#offset = offset;
    this.#marksHere = 0;
    this.#repeated = 0;
  }

  /** What is new in the event, or undefined. Throws if something before it is missing. */
  accept<E extends LogBytesEvent | LogMarkEvent | LogEndEvent>(event: E): E | undefined {
    if (event.kind === 'bytes') return this.#acceptBytes(event) as E | undefined;
    return event.kind === 'end' || this.#acceptMark(event) ? event : undefined;
  }

  #acceptBytes(event: LogBytesEvent): LogBytesEvent | undefined {
    if (event.offset > this.#offset) throw this.#gap(event.offset);
    const fresh = event.bytes.subarray(this.#offset - event.offset);
    if (fresh.length === 0) return undefined;
    const accepted = { ...event, offset: this.#offset, bytes: fresh };
    this.#offset += fresh.length;
    this.#marksHere = 0;
    this.#repeated = 0;
    return accepted;
  }

  #acceptMark({ mark }: LogMarkEvent): boolean {
    if (mark.offset > this.#offset) throw this.#gap(mark.offset);
    if (mark.offset < this.#offset || this.#repeated-- > 0) return false;
    this.#repeated = 0;
    this.#marksHere++;
    return true;
  }

  #gap(offset: number): Error {
    return new Error(`A log went on at byte ${offset} where byte ${this.#offset} was due`);
  }
}
