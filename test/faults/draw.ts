/** A seeded source of chance: the same seed and name give the same row of draws, whatever else is drawn elsewhere. */
export class Draw {
  readonly #seed: string;
  #state: number;

  constructor(seed: string) {
    this.#seed = seed;
    this.#state = hash(seed);
  }

  /** A source of its own: what is drawn from it changes nothing here. */
  branch(name: string): Draw {
    return new Draw(`${this.#seed}/${name}`);
  }

  /** In [0, 1). The generator is mulberry32. */
  number(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }

  between(least: number, most: number): number {
    return least + this.number() * (most - least);
  }

  whole(least: number, most: number): number {
    return Math.floor(this.between(least, most + 1));
  }

  of<T>(list: readonly T[]): T {
    return pickFrom(list, this.number());
  }

  shuffled<T>(list: readonly T[]): T[] {
    const rest = [...list];
    return Array.from(list, () => rest.splice(Math.floor(this.number() * rest.length), 1)[0]!);
  }
}

/** What a number in [0, 1) stands for in a list. */
export function pickFrom<T>(list: readonly T[], at: number): T {
  const picked = list[Math.floor(at * list.length)];
  if (picked === undefined) throw new Error(`Cannot pick from ${list.length} with ${at}`);
  return picked;
}

/** FNV-1a. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  return state;
}
