import { plainLine } from './ansi.ts';

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

const NEWLINE = 10;

/** Looks through the bytes of a log as they come, in any portions. Lines are searched as people read them: without colours. */
export class LogSearch {
  readonly #expression: RegExp;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #rest: Uint8Array = new Uint8Array();
  #offset = 0;

  constructor(expression: RegExp) {
    this.#expression = expression;
  }

  /** Up to here everything was looked through. */
  get offset(): number {
    return this.#offset;
  }

  push(bytes: Uint8Array): LogHit[] {
    const all = this.#rest.length === 0 ? bytes : concat(this.#rest, bytes);
    const end = all.lastIndexOf(NEWLINE) + 1;
    const hits = this.#find(all.subarray(0, end));
    this.#rest = all.slice(end);
    return hits;
  }

  /** What a last line without its end has. */
  end(): LogHit[] {
    const hits = this.#find(this.#rest);
    this.#rest = new Uint8Array();
    return hits;
  }

  #find(bytes: Uint8Array): LogHit[] {
    const hits: LogHit[] = [];
    let start = 0;
    // Decoding never adds or takes a line break: the nth line of the text is the nth of the bytes.
    for (const line of this.#decoder.decode(bytes).split('\n')) {
      this.#expression.lastIndex = 0;
      if (start < bytes.length && this.#expression.test(plainLine(line))) hits.push({ offset: this.#offset + start });
      start = bytes.indexOf(NEWLINE, start) + 1 || bytes.length;
    }
    this.#offset += bytes.length;
    return hits;
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
