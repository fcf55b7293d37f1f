import type { LogStretch } from '../../shared/log-events.ts';
import { LOG_BLOCK_BYTES, type LogPiece, type LogTime } from '../../shared/log-piece.ts';
import { countNewlines } from './count-newlines.ts';

/** Times are kept this exactly, in milliseconds: bytes read within it of each other count as read together. */
const TIME_RESOLUTION_MS = 5;
const FIRST_CAPACITY = 4096;

/**
 * One block of an attempt's output in memory: it grows to 1 MiB and then never changes. The first one begins small, as most
 * logs are; who has filled that is likely to fill the next, which gets all its room at once instead of being copied as it grows.
 */
export class LogBlock {
  readonly start: number;
  readonly firstLine: number;
  readonly #times: LogTime[] = [];
  #buffer: Buffer;
  #length = 0;
  /** Newlines are counted once: up to here, so many in the whole log. */
  #counted: { offset: number; lines: number };

  constructor(start: number, firstLine: number) {
    this.start = start;
    this.firstLine = firstLine;
    this.#buffer = Buffer.allocUnsafeSlow(start === 0 ? FIRST_CAPACITY : LOG_BLOCK_BYTES);
    this.#counted = { offset: start, lines: firstLine };
  }

  get end(): number {
    return this.start + this.#length;
  }

  get isFull(): boolean {
    return this.#length === LOG_BLOCK_BYTES;
  }

  /** Copies as many of the bytes as fit, and says how many these were. */
  append(bytes: Uint8Array, time: number): number {
    const part = bytes.subarray(0, LOG_BLOCK_BYTES - this.#length);
    this.#reserve(this.#length + part.length);
    this.#buffer.set(part, this.#length);
    const last = this.#times.at(-1);
    if (last === undefined || Math.abs(time - last.time) >= TIME_RESOLUTION_MS)
      this.#times.push({ offset: this.end, time });
    this.#length += part.length;
    return part.length;
  }

  /** A view of the bytes from an offset on, that stays as it is while the block grows. */
  stretch(from: number): LogStretch {
    return this.#stretch(from, this.end);
  }

  /** As it is stored, but for the marks. */
  piece(start: number, end: number): Omit<LogPiece, 'firstMark' | 'marks'> {
    const firstLine = this.linesBefore(start);
    return { ...this.#stretch(start, end), end, firstLine, lines: this.linesBefore(end) - firstLine };
  }

  /** How many newlines are before the offset, in the whole log. Cheap for the start, and for offsets that only grow. */
  linesBefore(offset: number): number {
    if (offset === this.start) return this.firstLine;
    const known = offset < this.#counted.offset ? { offset: this.start, lines: this.firstLine } : this.#counted;
    const fresh = this.#buffer.subarray(known.offset - this.start, offset - this.start);
    this.#counted = { offset, lines: known.lines + countNewlines(fresh) };
    return this.#counted.lines;
  }

  #reserve(length: number): void {
    if (length <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.min(LOG_BLOCK_BYTES, Math.max(length, this.#buffer.length * 4)));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }

  #stretch(start: number, end: number): LogStretch {
    const bytes = this.#buffer.subarray(start - this.start, end - this.start);
    return { start, bytes, times: this.#timesOf(start, end) };
  }

  #timesOf(from: number, to: number): LogTime[] {
    const first = Math.max(
      0,
      this.#times.findLastIndex(entry => entry.offset <= from),
    );
    const [head, ...rest] = this.#times.slice(first).filter(entry => entry.offset < Math.max(to, from + 1));
    return head === undefined ? [] : [{ offset: from, time: head.time }, ...rest];
  }
}
