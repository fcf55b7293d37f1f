import { PatternAutomaton } from './pattern-automaton.ts';
import { secretVariants } from './secret-variants.ts';

const STARS = Buffer.from('***');
const NOTHING = Buffer.alloc(0);
/** So many bytes of what may become a secret are given out when nothing follows: too few to tell it. */
const RELEASED_BYTES = 3;

/**
 * Replaces secret values in a stream of bytes by ***, also where they are cut between chunks; finds that share bytes become
 * one ***. All other bytes pass as they are, and without a copy. Bytes that may be the beginning of a secret are held back
 * until the next ones tell.
 *
 * Positions count from the first byte ever pushed.
 */
export class Mask {
  readonly #automaton: PatternAutomaton | undefined;
  #state = 0;
  #pushed = 0;
  /** Everything before it is given out or hidden; the bytes from it on are `#held`. */
  #given = 0;
  #held: Uint8Array = NOTHING;
  /** The end of the last secret that was replaced. */
  #hiddenTo = 0;
  /** Secrets found but not replaced yet, as a longer one may start before them. In order, none overlapping another. */
  #finds: { from: number; to: number }[] = [];

  constructor(secrets: readonly string[] | PatternAutomaton) {
    if (secrets instanceof PatternAutomaton) {
      this.#automaton = secrets;
    } else {
      const variants = secrets.flatMap(secretVariants);
      if (variants.length > 0) this.#automaton = new PatternAutomaton(variants);
    }
  }

  /** How many bytes were pushed in all. */
  get pushed(): number {
    return this.#pushed;
  }

  /** How many bytes are held back. */
  get held(): number {
    return this.#held.length;
  }

  /** What can be given out now that these bytes are known. */
  push(bytes: Uint8Array): readonly Uint8Array[] {
    if (this.#automaton === undefined) return [bytes];
    this.#find(this.#automaton, bytes);
    return this.#give(bytes, this.#pushed - this.#automaton.depth[this.#state]!);
  }

  /**
   * Nothing has followed for a while: gives out what is held if that is too little to tell a secret. Should it have been the
   * beginning of one, the rest of it will be hidden.
   */
  release(): readonly Uint8Array[] {
    return this.#held.length > RELEASED_BYTES ? [] : this.#give(NOTHING, this.#pushed);
  }

  /** Gives out what is held: whatever comes later does not belong to it. */
  flush(): readonly Uint8Array[] {
    this.#state = 0;
    return this.#give(NOTHING, this.#pushed);
  }

  /** One text by itself. */
  text(text: string): string {
    if (this.#automaton === undefined) return text;
    const mask = new Mask(this.#automaton);
    return Buffer.concat([...mask.push(Buffer.from(text)), ...mask.flush()]).toString();
  }

  #find(automaton: PatternAutomaton, bytes: Uint8Array): void {
    const { match } = automaton;
    let state = this.#state;
    for (let i = 0; i < bytes.length; i++) {
      if (state === 0) i = automaton.skip(bytes, i);
      if (i === bytes.length) break;
      state = automaton.next(state, bytes[i]!);
      const length = match[state]!;
      if (length > 0) this.#found(this.#pushed + i + 1 - length, this.#pushed + i + 1);
    }
    this.#state = state;
    this.#pushed += bytes.length;
  }

  #found(from: number, to: number): void {
    let start = from;
    for (let last = this.#finds.at(-1); last !== undefined && last.to > from; last = this.#finds.at(-1)) {
      start = Math.min(start, last.from);
      this.#finds.pop();
    }
    this.#finds.push({ from: start, to });
  }

  /** @param decided no secret found later starts before it */
  #give(bytes: Uint8Array, decided: number): Uint8Array[] {
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const base = this.#pushed - all.length;
    const out: Uint8Array[] = [];
    const giveTo = (end: number) => {
      if (end <= this.#given) return;
      out.push(all.subarray(this.#given - base, end - base));
      this.#given = end;
    };
    let next = 0;
    for (; next < this.#finds.length && this.#finds[next]!.from <= decided; next++) {
      const { from, to } = this.#finds[next]!;
      giveTo(from);
      if (from >= this.#hiddenTo) out.push(STARS);
      this.#hiddenTo = to;
      this.#given = Math.max(this.#given, to);
    }
    this.#finds.splice(0, next);
    giveTo(decided);
    this.#held = this.#given < this.#pushed ? Buffer.from(all.subarray(this.#given - base)) : NOTHING;
    return out;
  }
}
