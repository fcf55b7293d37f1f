import type fc from 'fast-check';
import { Draw } from '../faults/draw.ts';
import type { Property } from './fuzz-target.ts';

/** One draw of a generator: which one of how many. */
export interface Choice {
  readonly value: number;
  readonly of: number;
}

/**
 * What generators of fast-check draw from, instead of chance: given choices, and when they are used up, others. So an input can be
 * changed a little by changing a choice, whatever it is made of, and it is one that the generator could have made.
 */
export class ChosenRandom {
  readonly made: Choice[] = [];
  readonly #given: readonly number[];
  readonly #rest: (of: number) => number;

  /** @param rest draws one of so many */
  constructor(given: readonly number[], rest: (of: number) => number) {
    this.#given = given;
    this.#rest = rest;
  }

  nextInt(min = -(2 ** 31), max = 2 ** 31 - 1): number {
    return min + this.#choose(max - min + 1);
  }

  nextBigInt(min: bigint, max: bigint): bigint {
    const count = max - min + 1n;
    let drawn = 0n;
    for (let limit = 1n; limit < count; limit <<= 32n) drawn = (drawn << 32n) | BigInt(this.#choose(2 ** 32));
    return min + (drawn % count);
  }

  /** Generators keep one, for what they draw when an input is made smaller. */
  clone(): this {
    return this;
  }

  #choose(of: number): number {
    const given = this.#given[this.made.length];
    const value = given === undefined ? this.#rest(of) : given % of;
    this.made.push({ value, of });
    return value;
  }
}

/** None, as many as for the first input that fast-check itself draws, for a later one, for a very late one. */
const BOUNDARY_VALUES = [undefined, 0, 9, 9999];

/** How many boundary values there are in it is drawn as well. */
export function generate(property: Property, random: ChosenRandom): fc.Value<unknown> {
  return property.generate(random as unknown as fc.Random, BOUNDARY_VALUES[random.nextInt(0, 3)]);
}

export function chanceOf(draw: Draw): (of: number) => number {
  return of => Math.floor((draw.number() + draw.number() * 2 ** -32) * of);
}

/** The simplest there is; after very many, any, as some generators draw until they like what they get. */
export function simplest(): (of: number) => number {
  const any = chanceOf(new Draw('any'));
  let made = 0;
  return of => (made++ < 1000 ? 0 : any(of));
}

/** For a command line: the last ones are left out if they are the simplest. */
export function choicesAsText(values: readonly number[]): string {
  return (
    values
      .map(value => value.toString(36))
      .join('.')
      .replace(/(\.?\b0)+$/, '') || '0'
  );
}

export function choicesFromText(text: string): number[] {
  return text.split('.').map(value => Number.parseInt(value, 36));
}
