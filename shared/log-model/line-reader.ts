import type { LogEvent, LogMark } from '../log.ts';
import { PLAIN, styleLine, type TextStyle } from './ansi.ts';

/** A line of output, named by the offset of its first byte. */
export interface OutputLine {
  readonly kind: 'output';
  readonly offset: number;
  /** Of the byte after it, its line break included. */
  readonly end: number;
  /** When its first byte was read. */
  readonly time: number;
  readonly text: string;
  /** In which it begins. */
  readonly style: TextStyle;
  /** Whether its line break has come, or it was cut as too long. */
  readonly isWhole: boolean;
}

/** What Simple CI has to say between two lines. */
export interface MarkLine {
  readonly kind: 'mark';
  readonly offset: number;
  readonly end: number;
  readonly time: number;
  readonly mark: LogMark;
}

export type LogLine = OutputLine | MarkLine;

/** A longer line is shown in parts: what has no line breaks must not become one giant row. Bytes. */
export const LONGEST_LINE = 8192;
const NEWLINE = 10;

/**
 * Turns the events of one attempt into lines. Works on a stream cut anywhere; a line whose end has not come yet is given with
 * `isWhole` false and again, under the same offset, when there is more of it.
 */
export class LineReader {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #rest: Uint8Array = new Uint8Array();
  #restOffset = 0;
  #restTime = 0;
  #style: TextStyle = PLAIN;

  /** The lines that the events bring; an unfinished one of before is given anew as the first. */
  read(events: Iterable<LogEvent>): LogLine[] {
    const lines: LogLine[] = [];
    for (const event of events) {
      if (event.kind === 'bytes') this.#readBytes(event.bytes, event.offset, event.time, lines);
      if (event.kind === 'mark') this.#readMark(event.mark, lines);
    }
    if (this.#rest.length > 0) lines.push(this.#line(this.#rest, this.#restOffset, this.#restTime, false));
    return lines;
  }

  #readBytes(bytes: Uint8Array, offset: number, time: number, lines: LogLine[]): void {
    for (let at = 0; at < bytes.length; ) {
      const newline = bytes.indexOf(NEWLINE, at);
      const room = LONGEST_LINE - this.#rest.length;
      const lineEnd = newline < 0 ? bytes.length : newline + 1;
      const end = Math.min(lineEnd, at + room);
      const isWhole = (newline >= 0 && end === lineEnd) || end === at + room;
      if (this.#rest.length === 0) {
        this.#restOffset = offset + at;
        this.#restTime = time;
      }
      const part = bytes.subarray(at, end);
      const whole = this.#rest.length === 0 ? part : joined(this.#rest, part);
      if (isWhole) lines.push(this.#line(whole, this.#restOffset, this.#restTime, true));
      this.#rest = isWhole ? new Uint8Array() : whole;
      at = end;
    }
  }

  /** A mark ends the line before it: what comes after it belongs to another step. */
  #readMark(mark: LogMark, lines: LogLine[]): void {
    if (this.#rest.length > 0) lines.push(this.#line(this.#rest, this.#restOffset, this.#restTime, true));
    this.#rest = new Uint8Array();
    if (mark.kind === 'step-started') this.#style = PLAIN;
    lines.push({ kind: 'mark', offset: mark.offset, end: mark.offset, time: mark.time, mark });
  }

  #line(bytes: Uint8Array, offset: number, time: number, isWhole: boolean): OutputLine {
    const text = this.#decoder.decode(bytes).replace(/\r?\n$/, '');
    const style = this.#style;
    if (isWhole && text.includes('\u001b')) this.#style = styleLine(text, style).style;
    return { kind: 'output', offset, end: offset + bytes.length, time, text, style, isWhole };
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
