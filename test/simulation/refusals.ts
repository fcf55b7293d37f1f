import { ERROR_IN_GOOD_ANSWER, INTERNAL_ERROR, S3_REFUSALS, type S3Refusal } from '../support/s3-refusals.ts';

/** Nothing was done, or it was and nobody is told. */
export type Failed = 'refused' | 'broken';

/** An answer that is lost for certain, and two that say no though it was done. */
const BROKEN = [undefined, INTERNAL_ERROR, ERROR_IN_GOOD_ANSWER];

/** How the object store of one world says no: in all the words that stores have, one after the other. */
export class Refusals {
  readonly #onRefused: (refusal: S3Refusal) => void;
  readonly #next: Record<Failed, number>;

  /** @param seed where they begin */
  constructor(seed: number, onRefused: (refusal: S3Refusal) => void) {
    this.#next = { refused: seed, broken: seed };
    this.#onRefused = onRefused;
  }

  /** Undefined: the connection breaks, and nothing is said. */
  next(kind: Failed): S3Refusal | undefined {
    const words = kind === 'refused' ? S3_REFUSALS : BROKEN;
    const refusal = words[this.#next[kind]++ % words.length];
    if (refusal) this.#onRefused(refusal);
    return refusal;
  }
}
