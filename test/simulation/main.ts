// `npm run simulate -- [--hours H] [--seed N] [--seeds K] [--json]`: simulates clusters, one seed after the other, until so many hours have
// passed in them or so many seeds are through. Stops at the first broken promise, and leaves out of its seed whatever it does not take to
// break that (`--whole`: it does not). `--acts A,B` has these faults only, again and again; `--workload scaling` or `crowd` has nodes that
// scale their Deployment, or a crowd at a long queue, in every seed; `--only A,B` has only these parts of the seed, as a failure names
// them; `--mutant NAME` simulates with a mistake in the product. `--each-act` has every kind of fault alone, each in K seeds of its own,
// and `--each-pair` each with each other one; both go on after a broken promise, and fail too when a fault never struck.
import { parseArgs } from 'node:util';
import { type Called, describeFailure, describeShortened, describeSweep } from './describe-failure.ts';
import { MUTANTS } from './mutants.ts';
import type { Act } from './nemesis.ts';
import { WORKLOADS, type Workload } from './workloads.ts';
import { patchSources } from './patch-sources.ts';
import { shorten } from './shorten.ts';
import { eachAct, eachPair, neverStruck, sweep } from './sweep.ts';
import { Totals } from './totals.ts';
import type { Choice, Outcome } from './world.ts';

const USAGE = `Usage: npm run simulate -- [options]

  --seed N       the first seed (1)
  --seeds K      how many, one after the other (1; with --hours as many as it takes)
  --hours H      until so many hours have passed in the clusters
  --acts A,B     these faults only, again and again
  --each-act     each fault alone, again and again, in K seeds of its own; all of them, also after a broken promise
  --each-pair    each fault with each other one, in the same way
  --workload W   in every seed: ${WORKLOADS.join(' or ')}
  --only A,B     only these parts of the seed, as a failure names them
  --mutant NAME  with a mistake in the product, one of test/simulation/mutants.ts
  --whole        what does not lead to a failure is not left out of its seed
  --json         figures as one line of JSON`;

const { values } = parseOrExplain({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string' },
    hours: { type: 'string' },
    mutant: { type: 'string' },
    acts: { type: 'string' },
    workload: { type: 'string' },
    only: { type: 'string' },
    'each-act': { type: 'boolean', default: false },
    'each-pair': { type: 'boolean', default: false },
    whole: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const mutant = MUTANTS.find(({ name }) => name === values.mutant);
if (values.mutant !== undefined && !mutant) explain(`Cannot simulate as there is no such mutant: ${values.mutant}`);
patchSources(mutant?.patches);
// Only now, as what is patched must not be loaded before.
const { simulate } = await import('./world.ts');
const { ACTS, parseActs } = await import('./nemesis.ts');

const first = numberOf('seed', values.seed);
const isSweep = values['each-act'] || values['each-pair'];
for (const name of ['hours', 'acts', 'workload', 'only'] as const)
  if (isSweep && values[name] !== undefined)
    explain(`Cannot simulate with --${name} as each fault has its own: ${values[name]}`);
if (isSweep) await simulateSweep();
else await simulateSeeds();

async function simulateSeeds(): Promise<void> {
  const hours = values.hours === undefined ? Number.POSITIVE_INFINITY : numberOf('hours', values.hours);
  const byDefault = values.hours === undefined ? 1 : Number.POSITIVE_INFINITY;
  const seeds = values.seeds === undefined ? byDefault : numberOf('seeds', values.seeds);
  const acts = values.acts === undefined ? mutant?.acts : actsOf(values.acts);
  const workload = values.workload === undefined ? mutant?.workload : workloadOf(values.workload);
  const only = values.only?.split(',');
  const choice = { acts, workload, only };
  const totals = new Totals(first);
  for (let seed = first; seed < first + seeds && totals.hours < hours; seed++) {
    const outcome = await simulate(seed, choice);
    totals.add(outcome);
    if (!outcome.violation) continue;
    console.log(await describe(outcome, choice, values));
    process.exitCode = 1;
    break;
  }
  console.log(values.json ? JSON.stringify(totals.figures) : totals.sentence);
}

async function simulateSweep(): Promise<void> {
  const trials = values['each-act'] ? eachAct : eachPair;
  const acts = Object.keys(ACTS) as Act[];
  const seeds = numberOf('seeds', values.seeds ?? '1');
  const swept = await sweep(trials(acts, first, seeds), simulate, async (outcome, { choice }) => {
    process.exitCode = 1;
    const called = { mutant: values.mutant, acts: choice.acts.join(), workload: choice.workload };
    console.log(`${await describe(outcome, choice, called)}\n`);
  });
  if (values.json) console.log(JSON.stringify({ ...swept.totals.figures, sweep: swept.figures }));
  else console.log(describeSweep(swept));
  if (neverStruck(swept).length > 0) process.exitCode = 1;
}

async function describe(outcome: Outcome, choice: Choice, called: Called): Promise<string> {
  if (values.whole || choice.only !== undefined) return describeFailure(outcome, called);
  return describeShortened(await shorten(outcome, choice, simulate), called);
}

function workloadOf(name: string): Workload {
  const workload = WORKLOADS.find(known => known === name);
  if (workload) return workload;
  return explain(`Cannot simulate a workload that is not known: ${name}. There are: ${WORKLOADS.join(', ')}`);
}

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  return explain(`Cannot simulate as --${name} is not a number above 0: ${text}`);
}

function actsOf(names: string): Act[] {
  try {
    return parseActs(names);
  } catch (error) {
    return explain((error as Error).message);
  }
}

function parseOrExplain<T extends NonNullable<Parameters<typeof parseArgs>[0]>>(
  config: T,
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    return explain((error as Error).message);
  }
}

/** To whoever has called it wrongly. */
function explain(mistake: string): never {
  console.error(`${mistake}\n\n${USAGE}`);
  process.exit(2);
}
