/** The states up to this number, those near the root first, have a full table: 1 KiB each. */
const TABLE_STATES = 2048;

/**
 * Finds any of many byte patterns in one pass (Aho-Corasick). A state is the longest beginning of a pattern that the bytes
 * read so far end with; states are numbered from the root outwards, and the root is 0.
 */
export class PatternAutomaton {
  /** How many bytes that beginning has. */
  readonly depth: Int32Array;
  /** The length of the longest pattern that the bytes read so far end with, or 0. */
  readonly match: Int32Array;
  readonly #firstChild: Int32Array;
  readonly #sibling: Int32Array;
  readonly #label: Uint8Array;
  readonly #fallback: Int32Array;
  readonly #table: Int32Array;
  readonly #tableStates: number;

  constructor(patterns: readonly Uint8Array[]) {
    const states = countStates(patterns);
    this.#firstChild = new Int32Array(states);
    this.#sibling = new Int32Array(states);
    this.#label = new Uint8Array(states);
    this.#fallback = new Int32Array(states);
    this.depth = new Int32Array(states);
    this.match = new Int32Array(states);
    this.#addPatterns(patterns);
    this.#tableStates = Math.min(states, TABLE_STATES);
    this.#table = new Int32Array(this.#tableStates * 256);
    for (let state = 0; state < states; state++) this.#link(state);
  }

  /** The state after one more byte. */
  next(state: number, byte: number): number {
    let from = state;
    while (from >= this.#tableStates) {
      const child = this.#child(from, byte);
      if (child !== 0) return child;
      from = this.#fallback[from]!;
    }
    return this.#table[from * 256 + byte]!;
  }

  /** The first position from `at` on at which a byte leads out of the root, or the end. */
  skip(bytes: Uint8Array, at: number): number {
    const table = this.#table;
    let i = at;
    while (i < bytes.length && table[bytes[i]!] === 0) i++;
    return i;
  }

  /** Level by level, so that numbers grow with depth. */
  #addPatterns(patterns: readonly Uint8Array[]): void {
    let states = 1;
    let level = patterns.filter(pattern => pattern.length > 0).map(pattern => ({ pattern, state: 0 }));
    for (let depth = 0; level.length > 0; depth++) {
      for (const place of level) {
        const byte = place.pattern[depth]!;
        const child = this.#child(place.state, byte);
        place.state = child === 0 ? this.#addChild(place.state, states++, byte) : child;
        if (place.pattern.length === depth + 1) this.match[place.state] = depth + 1;
      }
      level = level.filter(place => place.pattern.length > depth + 1);
    }
  }

  #addChild(parent: number, child: number, byte: number): number {
    this.#label[child] = byte;
    this.#sibling[child] = this.#firstChild[parent]!;
    this.#firstChild[parent] = child;
    this.depth[child] = this.depth[parent]! + 1;
    return child;
  }

  /** Completes a state whose own fallback is known, and sets its children's. Called in the order of numbers. */
  #link(state: number): void {
    const fallback = this.#fallback[state]!;
    if (this.match[state] === 0) this.match[state] = this.match[fallback]!;
    const hasTable = state < this.#tableStates;
    if (hasTable && state !== 0) this.#table.copyWithin(state * 256, fallback * 256, fallback * 256 + 256);
    for (let child = this.#firstChild[state]!; child !== 0; child = this.#sibling[child]!) {
      const byte = this.#label[child]!;
      this.#fallback[child] = state === 0 ? 0 : this.next(fallback, byte);
      if (hasTable) this.#table[state * 256 + byte] = child;
    }
  }

  #child(state: number, byte: number): number {
    let child = this.#firstChild[state]!;
    while (child !== 0 && this.#label[child] !== byte) child = this.#sibling[child]!;
    return child;
  }
}

/** The root, and a state for each beginning that patterns have: many have long ones in common. */
function countStates(patterns: readonly Uint8Array[]): number {
  let states = 1;
  let before: Uint8Array = new Uint8Array();
  for (const pattern of patterns.toSorted(Buffer.compare)) {
    let common = 0;
    while (common < before.length && pattern[common] === before[common]) common++;
    states += pattern.length - common;
    before = pattern;
  }
  return states;
}
