import type { Chance } from '../../node-runtime/system/chance.ts';

const ALPHABET = '0123456789abcdefghijklmnopqrstuv';

/** Chance that a seed decides (mulberry32): the same seed, the same numbers. Good enough for dice, not for secrets. */
export class SeededChance implements Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  word(length: number): string {
    let word = '';
    while (word.length < length) word += ALPHABET[Math.floor(this.random() * 32)];
    return word;
  }

  /** True with this probability. Draws no number for what never happens, so that adding a fault changes no old history. */
  happens(probability: number): boolean {
    return probability > 0 && this.random() < probability;
  }

  /** A number of [least, most). */
  between(least: number, most: number): number {
    return least + (most - least) * this.random();
  }

  /** A whole number of [least, most]. */
  whole(least: number, most: number): number {
    return Math.floor(this.between(least, most + 1));
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('Cannot pick one of none');
    return items[Math.floor(this.random() * items.length)]!;
  }

  /** Chance of its own for one party: what that draws later changes nothing for the others. */
  fork(): SeededChance {
    return new SeededChance(Math.floor(this.random() * 2 ** 32));
  }
}
