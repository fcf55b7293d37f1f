import type { LogEvent, LogMark } from '../log.ts';
import { LineReader, type LogLine, type MarkLine, type OutputLine } from './line-reader.ts';

/** What is shown as one row. */
export type LogRow =
  | (OutputLine & { readonly key: string })
  | {
      readonly kind: 'step';
      readonly key: string;
      readonly offset: number;
      readonly time: number;
      readonly step: number;
      readonly text: string;
      /** Undefined: under way, or its end has not been read. */
      readonly end?: { readonly text: string; readonly offset: number; readonly time: number };
      readonly isFolded: boolean;
    }
  | {
      readonly kind: 'note' | 'failure';
      readonly key: string;
      readonly offset: number;
      readonly time: number;
      readonly text: string;
    };

/** A step as far as marks have told of it. */
export interface StepRange {
  readonly step: number;
  readonly text: string;
  readonly start: number;
  readonly time: number;
  readonly end?: { readonly text: string; readonly offset: number; readonly time: number };
}

export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/** How much is asked for at once when somebody scrolls, in bytes. */
const BLOCK_BYTES = 262_144;
/** More lines than this are not kept: the far end of the window is forgotten, and read again when it is wanted. */
const MOST_LINES = 20_000;
const LINES_AFTER_TRIM = 12_000;

/**
 * The part of an attempt's log that is at hand: lines without a gap from `start` to `end`, apart from what lies in folded steps.
 * It grows at either end as somebody scrolls, follows the log while its end is at hand, and never holds more than a fixed
 * number of lines. A byte is named by its offset; nothing here needs to know how many lines there are before it.
 */
export class LogWindow {
  #lines: LogLine[] = [];
  #reader = new LineReader();
  #start: number;
  #end: number;
  #size: number;
  /** Read from the end backwards, a step's end is known before its start. */
  readonly #starts = new Map<number, Omit<StepRange, 'end'>>();
  readonly #ends = new Map<number, NonNullable<StepRange['end']>>();
  readonly #folded = new Set<number>();
  #rows: LogRow[] | undefined;

  /** @param offset where the log is first shown */
  constructor(offset: number) {
    this.#start = offset;
    this.#end = offset;
    this.#size = offset;
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  /** How many bytes the log is known to have. */
  get size(): number {
    return this.#size;
  }

  get steps(): readonly StepRange[] {
    return [...this.#starts.keys()].sort((a, b) => a - b).flatMap(step => this.#step(step) ?? []);
  }

  get reachesStart(): boolean {
    return this.#start === 0;
  }

  get reachesEnd(): boolean {
    return this.#end === this.#size;
  }

  get rows(): readonly LogRow[] {
    this.#rows ??= this.#visibleRows();
    return this.#rows;
  }

  /**
   * What the log goes on with. Kept while the end of the log is at hand, else only counted.
   * @param isWatched whether somebody looks at the end: else the lines that he does look at must not make room for new ones
   */
  follow(events: readonly LogEvent[], isWatched = true): void {
    const isAtEnd = this.reachesEnd && (isWatched || this.#lines.length < MOST_LINES);
    for (const event of events) {
      if (event.kind === 'bytes') this.#size = Math.max(this.#size, event.offset + event.bytes.length);
      if (event.kind === 'mark') this.#learn({ kind: 'mark', ...placeOf(event.mark), mark: event.mark });
    }
    if (isAtEnd) this.#append(events, isWatched);
  }

  /** What was asked for by `after`. */
  append(events: readonly LogEvent[], { from }: ByteRange): void {
    if (from !== this.#next(this.#end)) return;
    if (from !== this.#end) this.#reader = new LineReader();
    this.#end = from;
    // A node that died may have told of bytes that were never stored: the log ends here.
    if (endOf(events, from) === from) this.#size = from;
    this.#append(events, true);
  }

  /** What was asked for by `before`, whose last byte is the one before the window's first. */
  prepend(events: readonly LogEvent[], { from, to }: ByteRange): void {
    if (to !== this.#previous(this.#start)) return;
    const lines = new LineReader().read(within(events, to));
    const begin = from === 0 ? 0 : lineStart(lines);
    const fresh = lines.slice(begin);
    for (const line of fresh) if (line.kind === 'mark') this.#learn(line);
    const known = new Set(this.#lines.filter(line => line.kind === 'mark').map(keyOf));
    this.#lines = [...fresh.filter(line => line.kind === 'output' || !known.has(keyOf(line))), ...this.#lines];
    this.#start = from === 0 ? 0 : (fresh[0]?.offset ?? from);
    this.#headFolds();
    this.#trim('end');
    this.#rows = undefined;
  }

  /** Leaves what is at hand, and goes to another place: what was read around it. */
  replace(events: readonly LogEvent[], { from }: ByteRange): void {
    this.#reader = new LineReader();
    const lines = this.#reader.read(events);
    const fresh = lines.slice(from === 0 ? 0 : lineStart(lines));
    for (const line of fresh) if (line.kind === 'mark') this.#learn(line);
    this.#lines = fresh;
    this.#start = from === 0 ? 0 : (fresh[0]?.offset ?? from);
    this.#end = endOf(events, from);
    this.#size = Math.max(this.#size, this.#end);
    this.#rows = undefined;
  }

  /** What lies before the window, if something does. */
  before(): ByteRange | undefined {
    const to = this.#previous(this.#start);
    return to > 0 ? { from: Math.max(0, to - BLOCK_BYTES), to } : undefined;
  }

  /** What lies after it, as far as it is known to exist. */
  after(): ByteRange | undefined {
    const from = this.#next(this.#end);
    return from < this.#size ? { from, to: Math.min(this.#size, from + BLOCK_BYTES) } : undefined;
  }

  /** What to read to show the byte at the offset. */
  around(offset: number): ByteRange {
    const from = Math.max(0, offset - BLOCK_BYTES / 4);
    return { from, to: Math.min(this.#size, from + BLOCK_BYTES) };
  }

  isAtHand(offset: number): boolean {
    return offset >= this.#start && offset < this.#end;
  }

  isFolded(step: number): boolean {
    return this.#folded.has(step);
  }

  /** What is known of steps without having read that far. */
  learn(marks: readonly LogMark[]): void {
    for (const mark of marks) this.#learn({ kind: 'mark', ...placeOf(mark), mark });
    this.#rows = undefined;
  }

  /** Hides what a finished step printed, or shows it again. */
  setFolded(step: number, isFolded: boolean): void {
    const range = this.#step(step);
    if (!range?.end || isFolded === this.#folded.has(step)) return;
    if (isFolded) {
      this.#folded.add(step);
      this.#headFolds();
    } else {
      this.#folded.delete(step);
      this.#openGap(range.start, range.end.offset);
    }
    this.#rows = undefined;
  }

  #append(events: readonly LogEvent[], mayForget: boolean): void {
    const lines = this.#reader.read(events);
    const last = this.#lines.at(-1);
    if (last?.kind === 'output' && !last.isWhole && lines.some(({ offset }) => offset === last.offset))
      this.#lines.pop();
    for (const line of lines) {
      if (line.kind === 'mark') {
        if (this.#isKnown(line)) continue;
        this.#learn(line);
      }
      this.#lines.push(line);
    }
    this.#end = endOf(events, this.#end);
    this.#size = Math.max(this.#size, this.#end);
    // The first bytes of a tail are the rest of some line.
    if (this.#start > 0 && this.#lines.length === lines.length) this.#dropPartialLine();
    if (mayForget) this.#trim('start');
    this.#rows = undefined;
  }

  /** Who goes on reading at an offset is given the marks there once more. */
  #isKnown(mark: MarkLine): boolean {
    const key = keyOf(mark);
    for (let at = this.#lines.length - 1; at >= 0 && this.#lines[at]!.offset >= mark.offset; at--)
      if (keyOf(this.#lines[at]!) === key) return true;
    return false;
  }

  #dropPartialLine(): void {
    const [first, second] = this.#lines;
    if (first?.kind !== 'output' || !second || first.offset !== this.#start) return;
    this.#lines.shift();
    this.#start = first.end;
  }

  /** Forgets lines at one end. */
  #trim(side: 'start' | 'end'): void {
    if (this.#lines.length <= MOST_LINES) return;
    if (side === 'start') {
      this.#lines = this.#lines.slice(-LINES_AFTER_TRIM);
      this.#start = this.#lines[0]!.offset;
      return;
    }
    this.#lines = this.#lines.slice(0, LINES_AFTER_TRIM);
    this.#end = this.#lines.at(-1)!.end;
    this.#reader = new LineReader();
  }

  /** A window that begins within folded steps begins with their headings instead: what is under them is not read. */
  #headFolds(): void {
    const step = [...this.#folded].find(one => {
      const range = this.#step(one);
      return range?.end && this.#start > range.start && this.#start <= range.end.offset;
    });
    const range = step === undefined ? undefined : this.#step(step);
    if (!range?.end) return;
    const { start, time, text, end } = range;
    const mark: LogMark = { offset: start, time, kind: 'step-started', step: range.step, text };
    const heading: MarkLine = { kind: 'mark', offset: start, end: start, time, mark };
    this.#lines = [heading, ...this.#lines.filter(line => line.offset >= end.offset && keyOf(line) !== keyOf(heading))];
    this.#start = start;
    this.#headFolds();
  }

  /** A step that was jumped over is opened: what comes after it is let go, and read again. */
  #openGap(from: number, to: number): void {
    const at = this.#lines.findIndex(line => line.offset >= to);
    const before = this.#lines[at - 1];
    if (before === undefined || before.end > from) return;
    this.#lines = this.#lines.slice(0, at);
    this.#end = from;
    this.#reader = new LineReader();
  }

  #learn({ mark }: MarkLine): void {
    const { step, text, offset, time } = mark;
    if (step === undefined) return;
    if (mark.kind === 'step-started') this.#starts.set(step, { step, text, start: offset, time });
    if (mark.kind === 'step-finished') this.#ends.set(step, { text, offset, time });
  }

  #step(step: number): StepRange | undefined {
    const start = this.#starts.get(step);
    const end = this.#ends.get(step);
    return start && { ...start, ...(end && { end }) };
  }

  /** Where reading goes on downwards: folded steps are jumped over. */
  #next(offset: number): number {
    const fold = this.#folds().find(({ from, to }) => offset >= from && offset < to);
    return fold ? this.#next(fold.to) : offset;
  }

  #previous(offset: number): number {
    const fold = this.#folds().find(({ from, to }) => offset > from && offset <= to);
    return fold ? this.#previous(fold.from) : offset;
  }

  #folds(): ByteRange[] {
    return [...this.#folded].flatMap(step => {
      const range = this.#step(step);
      return range?.end && range.end.offset > range.start ? [{ from: range.start, to: range.end.offset }] : [];
    });
  }

  #visibleRows(): LogRow[] {
    const folds = this.#folds();
    const rows: LogRow[] = [];
    for (const line of this.#lines) {
      if (line.kind === 'mark') rows.push(...this.#markRows(line));
      else if (!folds.some(({ from, to }) => line.offset >= from && line.offset < to))
        rows.push({ ...line, key: outputKey(line.offset) });
    }
    return rows;
  }

  #markRows({ mark, offset, time }: MarkLine): LogRow[] {
    const { step, text } = mark;
    if (mark.kind === 'step-started' && step !== undefined) {
      const end = this.#ends.get(step);
      return [
        {
          kind: 'step',
          key: stepKey(step),
          offset,
          time,
          step,
          text,
          isFolded: this.#folded.has(step),
          ...(end && { end }),
        },
      ];
    }
    if (mark.kind === 'step-finished' && text === 'passed') return [];
    const kind = mark.kind === 'note' || isCancelled(text) ? 'note' : 'failure';
    return [{ kind, key: `${kind}${step ?? ''}@${offset}:${text}`, offset, time, text }];
  }
}

/** Whether a step has ended because somebody wanted it to, by what its mark says: `cancelled: Cancelled by ann`. */
export function isCancelled(end: string): boolean {
  return /^cancelled(?::|$)/.test(end);
}

/** The key of the row of a line of output. */
export function outputKey(offset: number): string {
  return `o${offset}`;
}

/** The key of the row of a step. */
export function stepKey(step: number): string {
  return `s${step}`;
}

function placeOf({ offset, time }: { readonly offset: number; readonly time: number }) {
  return { offset, end: offset, time };
}

function keyOf(line: LogLine): string {
  return line.kind === 'mark' ? `${line.offset}:${line.mark.kind}:${line.mark.step}:${line.mark.text}` : '';
}

/** The events up to the byte at `to`. */
function within(events: readonly LogEvent[], to: number): LogEvent[] {
  return events.flatMap((event): LogEvent[] => {
    if (event.kind === 'mark') return event.mark.offset <= to ? [event] : [];
    if (event.kind !== 'bytes') return [];
    const bytes = event.bytes.subarray(0, Math.max(0, to - event.offset));
    return bytes.length > 0 ? [{ ...event, bytes }] : [];
  });
}

function endOf(events: readonly LogEvent[], otherwise: number): number {
  return events.reduce((end, event) => (event.kind === 'bytes' ? event.offset + event.bytes.length : end), otherwise);
}

/** The index of the first line that is surely whole: the one before it may be the rest of one. */
function lineStart(lines: readonly LogLine[]): number {
  const first = lines.findIndex(({ kind }) => kind === 'output');
  return first === 0 && lines.length > 1 ? 1 : 0;
}
