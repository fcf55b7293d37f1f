import type { Chance } from '../system/chance.ts';

/** The delay is steady at ln(1 / 0.88) / ln 3 losses a win: some 1.12 transactions a claim. */
const GROWTH_AFTER_LOSS = 3;
const SHRINK_AFTER_WIN = 0.88;
const SMALLEST_MS = 2;
/** Enough for 50 nodes that take each task of a long queue as soon as they have ended one: with a tenth, 4 of 10 claims were lost. */
const LARGEST_MS = 30_000;
/** A task that comes alone, or is handed back by a node that leaves, is not kept waiting for longer, whatever the competition was like before. */
const LONGEST_WAIT_MS = 1000;
/** Wins of a node while it waits are about this far apart when its delay is right; more candidates are worth a wider choice. */
const MS_PER_CANDIDATE = 10;
const WIDEST_CHOICE = 256;

/**
 * How long to wait before competing for a task, and among how many to choose. Nodes know nothing of each other, so the
 * measure of how many compete is how often this one loses: of N nodes that each wait a random time up to J, the first comes
 * after J / (N + 1), and the others see its lock and give up for free. A lone node soon waits not at all and takes the head
 * of the queue; fifty nodes settle at a J of a second or so, which costs each task some 25 ms.
 */
export class Hesitation {
  readonly #chance: Chance;
  #spread = 20;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  won(): void {
    this.#spread = this.#spread < SMALLEST_MS ? 0 : this.#spread * SHRINK_AFTER_WIN;
  }

  lost(): void {
    this.#spread = Math.min(Math.max(this.#spread, SMALLEST_MS) * GROWTH_AFTER_LOSS, LARGEST_MS);
  }

  /** Among how many of the first fitting tasks to choose at random: 1 when nobody competes, so that order is kept. */
  get choice(): number {
    return Math.max(1, Math.min(WIDEST_CHOICE, Math.ceil(this.#spread / MS_PER_CANDIDATE)));
  }

  /** Milliseconds to wait before claiming one of `candidates` tasks: the rivals are spread over all of them. */
  draw(candidates: number): number {
    const each = this.#spread / Math.max(1, Math.min(candidates, this.choice));
    return Math.min(each, LONGEST_WAIT_MS) * this.#chance.random();
  }
}
