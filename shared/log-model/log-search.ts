import { plainLine } from './ansi.ts';
import { LONGEST_LINE } from './line-reader.ts';

export interface LogQuery {
  readonly text: string;
  readonly isRegExp: boolean;
  readonly isCaseSensitive: boolean;
}

/** A line that has what was searched for, named by the offset of its first byte. */
export interface LogHit {
  readonly offset: number;
}

/** The expression that a query means, or why it means none. */
export function compileQuery({ text, isRegExp, isCaseSensitive }: LogQuery): RegExp | string {
  const source = isRegExp ? text : text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  try {
    return new RegExp(source, isCaseSensitive ? 'gu' : 'giu');
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** More in one line are not looked for. */
const MOST_MATCHES = 200;

/** What an expression finds in a line, at most so much. */
export function matchesIn(text: string, expression: RegExp): RegExpExecArray[] {
  const matches: RegExpExecArray[] = [];
  for (const match of text.matchAll(expression)) if (matches.push(match) === MOST_MATCHES) break;
  return matches;
}

/** Tells of each text whether it has what is searched for. What it throws ends the search. */
export type TextTest = (texts: readonly string[]) => readonly boolean[];

/** Whoever marks in a line what this has found there works as long on it, and no longer: it is looked through as far. */
export function textTest(expression: RegExp): TextTest {
  return texts => texts.map(text => matchesIn(text, expression).length > 0);
}

const NEWLINE = 10;
const NOTHING = new Uint8Array();
/** What lies on both sides of where a long line was cut is found if it is within so many bytes of the cut. */
const EDGE = 256;

/** A line, or a part of a long one. */
interface Part {
  readonly offset: number;
  readonly text: string;
  /** Around the place where it was cut off from the part before it. */
  readonly edge?: string;
}

/**
 * Looks through the bytes of a log as they come, in any portions. Lines are searched as people read them: without colours, and long ones in the
 * parts in which they are shown. So what a portion costs does not grow with the line that it belongs to.
 */
export class LogSearch {
  readonly #test: TextTest;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #rest: Uint8Array = NOTHING;
  #offset = 0;
  /** The end of the part before, if its line goes on. */
  #tail: Uint8Array = NOTHING;
  #last = { offset: 0, isHit: false };

  constructor(test: TextTest) {
    this.#test = test;
  }

  /** Up to here everything was looked through. */
  get offset(): number {
    return this.#offset;
  }

  push(bytes: Uint8Array): LogHit[] {
    const all = this.#rest.length === 0 ? bytes : concat(this.#rest, bytes);
    const lines = all.lastIndexOf(NEWLINE) + 1;
    const end = all.length - ((all.length - lines) % LONGEST_LINE);
    const hits = this.#find(all.subarray(0, end));
    this.#rest = all.slice(end);
    return hits;
  }

  /** What a last line without its end has. */
  end(): LogHit[] {
    const hits = this.#find(this.#rest);
    this.#rest = NOTHING;
    return hits;
  }

  #find(bytes: Uint8Array): LogHit[] {
    const parts = this.#parts(bytes);
    const found = this.#test(parts.flatMap(({ text, edge }) => (edge === undefined ? [text] : [edge, text]))).values();
    const hits: LogHit[] = [];
    for (const { offset, edge } of parts) {
      const isAtEdge = edge !== undefined && found.next().value === true;
      const isHit = found.next().value === true;
      if (isAtEdge && !isHit && !this.#last.isHit) hits.push({ offset: this.#last.offset });
      if (isHit) hits.push({ offset });
      this.#last = { offset, isHit };
    }
    this.#offset += bytes.length;
    return hits;
  }

  #parts(bytes: Uint8Array): Part[] {
    const parts: Part[] = [];
    let start = 0;
    // Decoding never adds or takes a line break: the nth line of the text is the nth of the bytes.
    for (const line of this.#decoder.decode(bytes).split('\n')) {
      if (start === bytes.length) break;
      const lineEnd = bytes.indexOf(NEWLINE, start) + 1;
      const end = lineEnd || bytes.length;
      const offset = this.#offset + start;
      const isOne = lineEnd > 0 && end - start <= LONGEST_LINE && this.#tail.length === 0;
      if (isOne) parts.push({ offset, text: plainLine(line) });
      else this.#cut(bytes.subarray(start, end), offset, parts);
      start = end;
    }
    return parts;
  }

  #cut(line: Uint8Array, offset: number, parts: Part[]): void {
    for (let at = 0; at < line.length; at += LONGEST_LINE) {
      const part = line.subarray(at, at + LONGEST_LINE);
      const edge = this.#tail.length > 0 && { edge: this.#plain(concat(this.#tail, part.subarray(0, EDGE))) };
      parts.push({ offset: offset + at, text: this.#plain(part), ...edge });
      this.#tail = part.at(-1) === NEWLINE ? NOTHING : part.slice(-EDGE);
    }
  }

  #plain(bytes: Uint8Array): string {
    return plainLine(this.#decoder.decode(bytes).replace(/\n$/, ''));
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
