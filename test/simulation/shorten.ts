import { isCluster, partsOf } from './parts.ts';
import type { Violation } from './violation.ts';
import type { Choice, Outcome } from './world.ts';

/** A failure, and the least of its seed that was found to lead to it. */
export interface Shortened {
  readonly outcome: Outcome;
  /** Parts of the seed (`parts.ts`) that it takes; all others are left out. */
  readonly only: readonly string[];
  /** How many parts there were. */
  readonly of: number;
  /** How many simulations it took to find out. */
  readonly runs: number;
}

/** No more is simulated for it: about half a minute. Events and not seconds, so that a seed is shortened to the same every time. */
const MOST_EVENTS = 3_000_000;

type Simulate = (seed: number, choice: Choice) => Promise<Outcome>;

/**
 * Leaves out of a seed what it does not take to break the same promise: half of its parts, then quarters, down to each alone, and again
 * until nothing more can go. Without a part the rest may take another course, so what is found is small, not the smallest.
 */
export async function shorten(failure: Outcome, choice: Choice, simulate: Simulate): Promise<Shortened> {
  const all = partsOf(failure.plan, failure.course);
  const isEnough = (outcome: Outcome) => isSame(failure.violation, outcome.violation);
  let [runs, events] = [0, 0];
  let best: Shortened | undefined;
  const attempt = async (only: readonly string[]): Promise<boolean> => {
    runs++;
    const outcome = await simulate(failure.plan.seed, { ...choice, only });
    events += outcome.events;
    if (isEnough(outcome)) best = { outcome, only, of: all.length, runs };
    return isEnough(outcome);
  };
  let kept: readonly string[] = all;
  if (!(await attempt(all))) throw new Error(`Cannot shorten seed ${failure.plan.seed} as it does not fail again`);
  for (let size = Math.ceil(all.length / 2); events < MOST_EVENTS; ) {
    const before = kept.length;
    for (let at = 0; at < kept.length && events < MOST_EVENTS; ) {
      const rest = kept.toSpliced(at, size);
      if (isCluster(rest, all) && (await attempt(rest))) kept = rest;
      else at += size;
    }
    if (size === 1 && kept.length === before) break;
    size = Math.max(1, Math.floor(size / 2));
  }
  return { ...best!, runs };
}

/** The same promise; a bug is the same when it says the same. */
function isSame(one: Violation | undefined, other: Violation | undefined): boolean {
  if (one?.invariant !== other?.invariant) return false;
  return one?.invariant !== 'no bug' || gist(one) === gist(other!);
}

function gist({ text }: Violation): string {
  return text.split('\n', 1)[0]!.replaceAll(/\b[0-9][0-9a-z]{26}\b|\d+/g, '#');
}
