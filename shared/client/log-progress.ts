import type { Fence } from '../ids.ts';
import type { LogEvent, LogMark, LogPosition } from '../log.ts';
import { LogCursor } from '../log-cursor.ts';
import type { Incoming } from './subscription.ts';

/**
 * How far a reader has come in a task's log, over its attempts and over any number of connections: turns what nodes say into
 * events without gap or repeat. What is said again (a new connection starts at the position asked for) is told once.
 */
export class LogProgress {
  #fence: Fence | undefined;
  /** Absent until the first byte or mark says where it begins: a reader of the last bytes does not know before. */
  #cursor: LogCursor | undefined;
  #isAttemptTold = false;
  #isEndTold = false;
  readonly #isWithoutBytes: boolean;

  /**
   * @param from where the reader wants to begin, if it knows
   * @param isWithoutBytes what was printed is not told, and so not missed
   */
  constructor(from: LogPosition | undefined, isTail: boolean, isWithoutBytes = false) {
    this.#isWithoutBytes = isWithoutBytes;
    if (!from) return;
    this.#fence = from.fence;
    if (!isTail) this.#cursor = new LogCursor(from.offset);
  }

  /** The next byte wanted; undefined until something has come, or was known. */
  get position(): LogPosition | undefined {
    if (this.#fence === undefined || !this.#cursor) return undefined;
    return { fence: this.#fence, offset: this.#cursor.offset };
  }

  /** A new connection begins, from `position`. */
  resume(): void {
    this.#cursor?.resume();
  }

  /** What is new in the message, or undefined. Throws if something before it is missing. */
  accept(message: Incoming): LogEvent | undefined {
    switch (message.type) {
      case 'attempt':
        return this.#attempt(message);
      case 'bytes': {
        const { offset, time, bytes } = message;
        // An older release sends them all the same.
        if (this.#isWithoutBytes) return undefined;
        return this.#at(offset).accept({ kind: 'bytes', offset, time, bytes });
      }
      case 'mark':
        return this.#at(message.mark.offset).accept({ kind: 'mark', mark: message.mark as LogMark });
      case 'attempt-end':
        return this.#end(message);
      default:
        return undefined;
    }
  }

  #at(offset: number): LogCursor {
    this.#cursor ??= new LogCursor(offset);
    if (this.#isWithoutBytes) this.#cursor.skipTo(offset);
    return this.#cursor;
  }

  #attempt({ fence, attempt, node, offset }: Extract<Incoming, { type: 'attempt' }>): LogEvent | undefined {
    if (this.#isAttemptTold && this.#fence === fence) return undefined;
    if (this.#fence !== fence || !this.#cursor) this.#cursor = new LogCursor(offset);
    this.#fence = fence;
    this.#isAttemptTold = true;
    this.#isEndTold = false;
    return { kind: 'attempt', fence, attempt, node, offset };
  }

  #end({ offset, reason }: Extract<Incoming, { type: 'attempt-end' }>): LogEvent | undefined {
    if (this.#isEndTold) return undefined;
    const at = this.#at(offset).offset;
    if (offset > at && reason === 'finished') throw new Error(`A log ended at byte ${offset} where byte ${at} was due`);
    this.#isEndTold = true;
    return { kind: 'end', offset, reason };
  }
}
