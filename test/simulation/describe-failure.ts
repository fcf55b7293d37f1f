import { markdownTable } from '../support/page-section.ts';
import { describePart } from './parts.ts';
import type { Shortened } from './shorten.ts';
import { neverStruck, type Sweep } from './sweep.ts';
import type { Outcome } from './world.ts';

/** How `npm run simulate` was called. */
export type Called = Readonly<Partial<Record<'mutant' | 'acts' | 'workload' | 'only', string | undefined>>>;

/** What somebody needs who is to find out: which promise was broken, what led to it, and how to see it again. */
export function describeFailure(outcome: Outcome, called: Called = {}): string {
  const { plan, violation, lines } = outcome;
  if (!violation) throw new Error('There is no failure to describe');
  return [
    `Seed ${plan.seed} breaks ${violation.invariant}: ${violation.text}`,
    '',
    ...lines,
    '',
    `Faults: ${plan.acts.join(', ') || 'none'}`,
    `To repeat: ${commandOf(plan.seed, called)}`,
  ].join('\n');
}

/** The same of a failure that was shortened: what of the seed it takes, and the command that repeats just that. */
export function describeShortened({ outcome, only, of, runs }: Shortened, called: Called = {}): string {
  const { plan, violation, lines, course } = outcome;
  return [
    `Seed ${plan.seed} breaks ${violation!.invariant}: ${violation!.text}`,
    '',
    `Of the ${of} parts of this seed ${only.length} are enough for it, by ${runs} simulations:`,
    ...only.map(part => `  ${describePart(part, course)}`),
    '',
    ...lines,
    '',
    `To repeat: ${commandOf(plan.seed, { ...called, only: only.join() })}`,
  ].join('\n');
}

/** What each kind of fault did, and whether it did anything. */
export function describeSweep(swept: Sweep): string {
  const rows = swept.figures.map(({ act, seeds, struck, failed }) => [
    act,
    String(seeds),
    String(struck),
    String(failed),
  ]);
  const table = markdownTable(['fault', 'seeds', 'struck', 'broken'], rows);
  const never = neverStruck(swept).map(act => `It never struck, so nothing was tested by it: ${act}`);
  return [table, '', ...never, swept.totals.sentence].join('\n');
}

function commandOf(seed: number, { mutant, acts, workload, only }: Called): string {
  const options = [
    `--seed ${seed}`,
    ...(mutant === undefined ? [] : [`--mutant '${mutant}'`]),
    ...(acts === undefined ? [] : [`--acts '${acts}'`]),
    ...(workload === undefined ? [] : [`--workload ${workload}`]),
    ...(only === undefined ? [] : [`--only '${only}'`]),
  ];
  return `npm run simulate -- ${options.join(' ')}`;
}
