/** Chance, passed in: with a seeded one, the same seed gives the same history. */
export interface Chance {
  /** A number in [0, 1), for jitter and choices. Not for secrets. */
  random(): number;
  /** A word of [0-9a-z] that nobody else will draw: for instances, nonces and epochs. */
  word(length: number): string;
}

const ALPHABET = '0123456789abcdefghijklmnopqrstuv';

export const systemChance: Chance = {
  random: () => Math.random(),
  word: length => {
    let word = '';
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) word += ALPHABET[byte % 32];
    return word;
  },
};
