import type { Outcome } from './world.ts';

/** What somebody needs who is to find out: which promise was broken, what led to it, and how to see it again. */
export function describeFailure(
  { plan, violation, lines }: Outcome,
  { mutant, acts, workload }: Readonly<Partial<Record<'mutant' | 'acts' | 'workload', string | undefined>>> = {},
): string {
  if (!violation) throw new Error('There is no failure to describe');
  const options = [
    `--seed ${plan.seed}`,
    ...(mutant === undefined ? [] : [`--mutant '${mutant}'`]),
    ...(acts === undefined ? [] : [`--acts '${acts}'`]),
    ...(workload === undefined ? [] : [`--workload ${workload}`]),
  ];
  return [
    `Seed ${plan.seed} breaks ${violation.invariant}: ${violation.text}`,
    '',
    ...lines,
    '',
    `Faults: ${plan.acts.join(', ') || 'none'}`,
    `To repeat: npm run simulate -- ${options.join(' ')}`,
  ].join('\n');
}
