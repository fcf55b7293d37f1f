import type { BenchResult, Figure } from '../bench/figures.ts';
import type { FaultCost } from './chaos-figures.ts';
import type { LeftOut } from './check-run.ts';

/** What `npm run chaos -- --json` prints. */
export interface ChaosResult extends BenchResult {
  readonly command: string;
  /** Of the checkout that it ran in. Absent where that is no clone. */
  readonly commit?: string | undefined;
  readonly node: string;
  /** How many processes wanted to run, over the last quarter of an hour. */
  readonly machineLoad?: number;
  readonly faults: readonly FaultCost[];
  /** Kinds of faults that were there and never hurt anybody. Absent in what earlier releases have printed, as the next one. */
  readonly neverStruck?: readonly string[];
  readonly leftOut?: readonly LeftOut[];
}

const TIMES = new Set(['s', 'ms']);

/** Several runs as one: counts are added up, of times the longest is taken. */
export function together(results: readonly ChaosResult[]): Omit<ChaosResult, 'command'> {
  const [first] = results;
  if (!first) throw new Error('Cannot take runs together as there is none');
  return {
    bench: 'chaos',
    node: first.node,
    figures: grouped(
      results.flatMap(({ figures }) => figures),
      ({ name }) => name,
      addFigures,
    ),
    faults: grouped(
      results.flatMap(({ faults }) => faults),
      ({ nemesis }) => nemesis,
      addCosts,
    ),
    neverStruck: inEach(results.map(({ faults, neverStruck = [] }) => ({ struck: faults, neverStruck }))),
    leftOut: grouped(
      results.flatMap(({ leftOut = [] }) => leftOut),
      ({ nemesis }) => nemesis,
      first => first,
    ),
  };
}

/** What has struck in one of the runs has struck. */
function inEach(runs: readonly { struck: readonly FaultCost[]; neverStruck: readonly string[] }[]): string[] {
  const struck = new Set(runs.flatMap(run => run.struck.map(({ nemesis }) => nemesis)));
  return [...new Set(runs.flatMap(({ neverStruck }) => neverStruck))].filter(nemesis => !struck.has(nemesis)).sort();
}

function addFigures(one: Figure, other: Figure): Figure {
  const value = TIMES.has(one.unit) ? Math.max(one.value, other.value) : one.value + other.value;
  return { ...one, value, met: one.met === null ? null : one.met && other.met === true };
}

function addCosts(one: FaultCost, other: FaultCost): FaultCost {
  const times = one.times + other.times;
  // What was measured amid other faults says less.
  if (one.isAlone !== other.isAlone) return { ...(one.isAlone ? one : other), times };
  return { ...one, times, recoverySeconds: Math.max(one.recoverySeconds, other.recoverySeconds) };
}

function grouped<T>(list: readonly T[], nameOf: (each: T) => string, add: (one: T, other: T) => T): T[] {
  return [...Map.groupBy(list, nameOf).values()].map(same => same.reduce(add));
}
