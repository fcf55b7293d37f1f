import { type Figure, figure, percentile } from '../bench/figures.ts';
import type { ChaosReport } from './check-run.ts';
import type { Recovery } from './storm.ts';

/** What a run says in numbers. */
export function chaosFigures(report: ChaosReport): Figure[] {
  const { tape, executions, stored, recoveries, submissions, convergedMs, violations } = report;
  const acknowledged = submissions.filter(({ acknowledgedAt }) => acknowledgedAt !== undefined);
  const none = { of: 'value', atMost: 0 } as const;
  const outcomes = Map.groupBy(tape.completed.values(), ({ outcome }) => outcome);
  const count = (outcome: string) => outcomes.get(outcome)?.length ?? 0;
  return [
    figure('tasks acknowledged', acknowledged.length, 'tasks'),
    figure('tasks lost', acknowledged.filter(({ id }) => !tape.completed.has(id)).length, 'tasks', { aim: none }),
    figure('tasks completed twice', violations.filter(({ invariant }) => invariant === 'I1').length, 'tasks', {
      aim: none,
    }),
    figure('promises broken', violations.length, 'times', { aim: none }),
    figure('attempts', tape.claims.length, 'attempts'),
    figure('tasks given up as infrastructure-lost', count('infrastructure-lost'), 'tasks', { aim: none }),
    figure('tasks given up as crashed', count('crashed'), 'tasks'),
    figure('executions that overlapped', executions.overlaps.length, 'times'),
    figure('longest overlap', longest(executions.overlaps), 'ms', { aim: { of: 'value', atMost: 1000 } }),
    figure('longest overlap, node and supervisor both stopped', longest(executions.blackoutOverlaps), 'ms'),
    ...timesOf('requeue after kill -9', requeuesAfterDeath(report), 's', 33),
    ...timesOf('requeue after drain', requeuesAfterDrain(report), 's', 1),
    figure('nodes killed', report.deaths.length, 'nodes'),
    figure('faults', report.schedule.length, 'faults'),
    figure('until all was done after the last fault', convergedMs / 1000, 's'),
    figure('logs read again', stored.logs, 'logs'),
    figure('artifacts read again', stored.artifacts, 'artifacts'),
    figure('objects searched for secrets', stored.objects, 'objects'),
    figure('longest log loss with a killed node', longest(lossesOf(report, true)), 's', {
      aim: { of: 'value', atMost: 5 },
    }),
    figure('longest log loss of an attempt given up otherwise', longest(lossesOf(report, false)), 's'),
    ...recoveryFigures(recoveries),
  ];
}

/** The worst of each kind: where it can be had, of faults that were alone. */
function recoveryFigures(recoveries: readonly Recovery[]): Figure[] {
  return [...Map.groupBy(recoveries, ({ nemesis }) => nemesis)].map(([nemesis, all]) => {
    const alone = all.filter(({ isAlone }) => isAlone);
    const name = alone.length > 0 ? `recovery: ${nemesis}` : `recovery amid other faults: ${nemesis}`;
    return figure(name, longest((alone.length > 0 ? alone : all).map(({ ms }) => ms / 1000)), 's');
  });
}

/** What is missing from the logs of attempts whose node was killed, or of the others. */
function lossesOf({ stored, tape, deaths }: ChaosReport, wasKilled: boolean): number[] {
  const killed = new Set(deaths.map(({ nodeId }) => nodeId));
  const fences = new Set(tape.claims.filter(({ node }) => killed.has(node)).map(({ fence }) => fence));
  return stored.losses.filter(({ fence }) => fences.has(fence) === wasKilled).map(({ seconds }) => seconds);
}

function longest(seconds: readonly number[]): number {
  return seconds.reduce((most, each) => Math.max(most, each), 0);
}

function timesOf(name: string, seconds: readonly number[], unit: string, atMost: number): Figure[] {
  if (seconds.length === 0) return [];
  return [
    figure(`${name}, p50`, percentile(seconds, 50), unit),
    figure(`${name}, p99`, percentile(seconds, 99), unit, { aim: { of: 'value', atMost } }),
    figure(`${name}, counted`, seconds.length, 'tasks'),
  ];
}

/** From the shot to the next claim, of each task that the node held. Only where nothing else was wrong with the cluster then. */
function requeuesAfterDeath({ tape, deaths }: ChaosReport): number[] {
  return deaths
    .filter(({ isAlone }) => isAlone)
    .flatMap(({ nodeId, at }) =>
      tape.claims
        .filter(
          claim => claim.node === nodeId && claim.at <= at && claim.ended?.how === 'expired' && claim.ended.at > at,
        )
        .flatMap(claim => nextClaim(tape, claim).map(next => (next.at - at) / 1000)),
    );
}

/** From the claim's being handed back to the next one. */
function requeuesAfterDrain({ tape }: ChaosReport): number[] {
  return tape.claims
    .filter(({ ended }) => ended?.how === 'released')
    .flatMap(claim => nextClaim(tape, claim).map(next => (next.at - claim.ended!.at) / 1000));
}

function nextClaim({ claims }: ChaosReport['tape'], { task, fence }: { task: string; fence: number }) {
  const next = claims.find(claim => claim.task === task && claim.fence > fence);
  return next ? [next] : [];
}
