import { type Aim, type Figure, figure, percentile } from '../bench/figures.ts';
import type { ChaosReport } from './check-run.ts';
import { attemptName, type Claimed, heldAt } from './check-tape.ts';
import { outageFigures } from './outage-figures.ts';
import type { Spell } from './storm.ts';

/** What a run says in numbers. */
export function chaosFigures(report: ChaosReport): Figure[] {
  const { tape, executions, stored, submissions, convergedMs, violations } = report;
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
    ...waitFigures('requeue after kill -9', waitsAfterDeath(report), 33),
    ...waitFigures('– of that, from the end of the lease on', waitsAfterExpiry(report)),
    ...waitFigures('requeue after drain', waitsAfterDrain(report), 1),
    ...drainFigures(report),
    ...outageFigures(report),
    figure('nodes killed', report.deaths.length, 'nodes'),
    figure('faults', report.spells.length, 'faults'),
    figure('faults that hurt nobody', report.missed.length, 'faults'),
    figure('until all was done after the last fault', convergedMs / 1000, 's'),
    figure('logs read again', stored.logs, 'logs'),
    figure('artifacts read again', stored.artifacts, 'artifacts'),
    figure('objects searched for secrets', stored.objects, 'objects'),
    figure('longest log loss with a killed node', longest(lossesOf(report, true)), 's', {
      aim: { of: 'value', atMost: 5 },
    }),
    figure('longest log loss of an attempt given up otherwise', longest(lossesOf(report, false)), 's'),
    ...recoveryFigures(report),
  ];
}

/** Which kinds of faults were there and never hurt anybody: nothing was tested by them. */
export function neverStruck({ spells, missed }: Pick<ChaosReport, 'spells' | 'missed'>): string[] {
  const have = new Set(spells.map(({ nemesis }) => nemesis));
  return [...new Set(missed)].filter(nemesis => !have.has(nemesis)).sort();
}

/** What faults of one kind cost. */
export interface FaultCost {
  readonly nemesis: string;
  readonly times: number;
  /** From its healing until a task that was submitted then was done: the longest. */
  readonly recoverySeconds: number;
  /** Of those that were alone; where none was, of all. */
  readonly isAlone: boolean;
}

export function faultCosts({ recoveries, spells }: ChaosReport): FaultCost[] {
  return [...Map.groupBy(recoveries, ({ nemesis }) => nemesis)].map(([nemesis, all]) => {
    const alone = all.filter(({ healedAt, doneAt }) => !spells.some(isWithin(healedAt, doneAt)));
    const counted = alone.length > 0 ? alone : all;
    const recoverySeconds = longest(counted.map(({ healedAt, doneAt }) => doneAt - healedAt)) / 1000;
    return { nemesis, times: all.length, recoverySeconds, isAlone: alone.length > 0 };
  });
}

function recoveryFigures(report: ChaosReport): Figure[] {
  return faultCosts(report).map(({ nemesis, recoverySeconds, isAlone }) =>
    figure(`recovery${isAlone ? '' : ' amid other faults'}: ${nemesis}`, recoverySeconds, 's'),
  );
}

function drainFigures({ tape }: ChaosReport): Figure[] {
  const drained = tape.claims.filter(({ ended }) => ended?.how === 'drained');
  if (drained.length === 0) return [];
  const charged = drained.filter(({ ended }) => ended?.isCharged).length;
  return [
    figure('attempts handed back by a drain', drained.length, 'attempts'),
    figure('attempts handed back by a drain, and charged', charged, 'attempts', { aim: { of: 'value', atMost: 0 } }),
  ];
}

/** How long tasks waited for their next claim, in seconds. */
interface Waits {
  /** While etcd, network and S3 were well. */
  readonly calm: readonly number[];
  readonly amid: readonly number[];
}

/** From the shot to the next claim, of each task that the node held. */
function waitsAfterDeath(report: ChaosReport): Waits {
  return waits(
    report,
    report.deaths.flatMap(({ nodeId, at }) =>
      heldAt(report.tape.claims, nodeId, at).map(claim => ({ claim, from: at })),
    ),
  );
}

/** The rest is the lease's: it is etcd that ends it, 30 s after it has heard the last renewal, and half a second. */
function waitsAfterExpiry(report: ChaosReport): Waits {
  const held = report.deaths.flatMap(({ nodeId, at }) => heldAt(report.tape.claims, nodeId, at));
  return waits(
    report,
    held.map(claim => ({ claim, from: claim.ended!.at })),
  );
}

/** From the claim's being handed back to the next one. */
function waitsAfterDrain(report: ChaosReport): Waits {
  const drained = report.tape.claims.filter(({ ended }) => ended?.how === 'drained');
  return waits(
    report,
    drained.map(claim => ({ claim, from: claim.ended!.at })),
  );
}

function waits({ tape, spells }: ChaosReport, freed: readonly { claim: Claimed; from: number }[]): Waits {
  const others = spells.filter(({ track }) => track !== 'nodes');
  const found = freed.flatMap(({ claim: { task, fence }, from }) => {
    const next = tape.claims.find(claim => claim.task === task && claim.fence > fence);
    return next ? [{ seconds: (next.at - from) / 1000, isCalm: !others.some(isWithin(from, next.at)) }] : [];
  });
  const secondsOf = (isCalm: boolean) => found.filter(each => each.isCalm === isCalm).map(({ seconds }) => seconds);
  return { calm: secondsOf(true), amid: secondsOf(false) };
}

function waitFigures(name: string, { calm, amid }: Waits, atMost?: number): Figure[] {
  return [
    ...percentiles(name, calm, atMost === undefined ? {} : { aim: { of: 'value', atMost } }),
    ...percentiles(`${name}, amid faults of etcd, network or S3`, amid, {}),
  ];
}

function percentiles(name: string, seconds: readonly number[], options: { readonly aim?: Aim }): Figure[] {
  if (seconds.length === 0) return [];
  return [
    figure(`${name}, p50`, percentile(seconds, 50), 's'),
    figure(`${name}, p99`, percentile(seconds, 99), 's', options),
    figure(`${name}, counted`, seconds.length, 'tasks'),
  ];
}

/** What is missing from the logs of attempts whose node was killed, or of the others, while S3 was well. */
function lossesOf(report: ChaosReport, wasKilled: boolean): number[] {
  const killed = report.deaths.flatMap(({ nodeId, at }) => heldAt(report.tape.claims, nodeId, at));
  const names = new Set(killed.map(attemptName));
  const counted = report.stored.losses.filter(({ isExcused }) => !isExcused);
  return counted.filter(loss => names.has(attemptName(loss)) === wasKilled).map(({ seconds }) => seconds);
}

function longest(list: readonly number[]): number {
  return list.reduce((most, each) => Math.max(most, each), 0);
}

function isWithin(from: number, to: number): (spell: Spell) => boolean {
  return spell => spell.from < to && spell.to > from;
}
