import type { Act } from './nemesis.ts';
import { Totals } from './totals.ts';
import type { Workload } from './workloads.ts';
import type { Choice, Outcome } from './world.ts';

/** Faults that come alone, again and again, in so many seeds: what one kind does often, many at once hide. */
export interface Trial {
  readonly acts: readonly Act[];
  /** These, and what it takes for them to find somebody. */
  readonly choice: { readonly acts: readonly Act[]; readonly workload: Workload | undefined };
  readonly firstSeed: number;
  readonly seeds: number;
}

/** What came of all trials that had an act. */
export interface ActFigures {
  readonly act: Act;
  readonly seeds: number;
  /** How often it really hurt something. */
  readonly struck: number;
  /** In how many trials a promise was broken. */
  readonly failed: number;
}

export interface Sweep {
  readonly totals: Totals;
  readonly figures: readonly ActFigures[];
}

/** What there must be besides for an act to find somebody: nodes that scale, or tasks that are frozen. */
const NEEDS: Partial<Record<Act, { readonly workload?: Workload; readonly act?: Act }>> = {
  'a node is paused as it scales': { workload: 'scaling' },
  'a node is paused as it lets a task go on': { act: 'a node is cut off from etcd' },
};

/** Each act alone. Every trial has seeds of its own, so that clusters of many shapes are met. */
export function eachAct(acts: readonly Act[], firstSeed: number, seeds: number): Trial[] {
  return trialsOf(
    acts.map(act => [act]),
    firstSeed,
    seeds,
  );
}

/** Each act with each other one. */
export function eachPair(acts: readonly Act[], firstSeed: number, seeds: number): Trial[] {
  const pairs = acts.flatMap((one, at) => acts.slice(at + 1).map(other => [one, other]));
  return trialsOf(pairs, firstSeed, seeds);
}

function trialsOf(kinds: readonly (readonly Act[])[], firstSeed: number, seeds: number): Trial[] {
  return kinds.map((acts, at) => {
    const needs = acts.map(act => NEEDS[act] ?? {});
    const workload = needs.map(need => need.workload).find(need => need !== undefined);
    const helpers = needs.flatMap(({ act }) => act ?? []);
    const choice = { acts: [...new Set([...acts, ...helpers])], workload };
    return { acts, choice, firstSeed: firstSeed + at * seeds, seeds };
  });
}

type Simulate = (seed: number, choice: Choice) => Promise<Outcome>;
/** Told of the first seed of a trial that breaks a promise. */
type OnFailure = (outcome: Outcome, trial: Trial) => Promise<void>;

/** A trial ends at its first broken promise, the others go on: what breaks under one fault says nothing of another. */
export async function sweep(trials: readonly Trial[], simulate: Simulate, onFailure: OnFailure): Promise<Sweep> {
  const totals = new Totals(trials[0]!.firstSeed);
  const figures = new Map<Act, ActFigures>();
  for (const trial of trials) {
    const outcomes = await outcomesOf(trial, simulate);
    for (const outcome of outcomes) totals.add(outcome);
    const failure = outcomes.find(({ violation }) => violation);
    if (failure) await onFailure(failure, trial);
    for (const act of trial.acts) figures.set(act, addTo(figures.get(act), act, outcomes));
  }
  return { totals, figures: [...figures.values()] };
}

async function outcomesOf({ choice, firstSeed, seeds }: Trial, simulate: Simulate): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const outcome = await simulate(seed, choice);
    outcomes.push(outcome);
    if (outcome.violation) break;
  }
  return outcomes;
}

function addTo(sum: ActFigures | undefined, act: Act, outcomes: readonly Outcome[]): ActFigures {
  const struck = outcomes.reduce((times, { strikes }) => times + (strikes.get(act) ?? 0), 0);
  return {
    act,
    seeds: (sum?.seeds ?? 0) + outcomes.length,
    struck: (sum?.struck ?? 0) + struck,
    failed: (sum?.failed ?? 0) + (outcomes.some(({ violation }) => violation) ? 1 : 0),
  };
}

/** Acts by which nothing was tested, as they hurt nobody in their seeds. */
export function neverStruck({ figures }: Pick<Sweep, 'figures'>): Act[] {
  return figures.filter(({ struck }) => struck === 0).map(({ act }) => act);
}
