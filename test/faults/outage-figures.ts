import { type Figure, figure } from '../bench/figures.ts';
import type { ChaosReport } from './check-run.ts';
import { attemptName, type Claimed } from './check-tape.ts';
import type { Spell } from './storm.ts';
import type { Execution } from './witness.ts';

/** Shorter ones come amid others, which have their own effects. */
const LEAST_MS = 600_000;

/** What became of the tasks that were running when etcd went for 10 minutes. */
export function outageFigures(report: ChaosReport): Figure[] {
  const outages = report.spells.filter(({ track, from, to }) => track === 'etcd' && to - from >= LEAST_MS);
  return outages.flatMap(outage => figuresOf(report, outage));
}

function figuresOf({ tape, witnessed }: ChaosReport, outage: Spell): Figure[] {
  const { nemesis, from, to } = outage;
  const running = witnessed.filter(({ startedAt, goneAt = Infinity }) => startedAt < from && goneAt > from);
  const claims = new Map(tape.claims.map(claim => [attemptName(claim), claim]));
  const isDone = (execution: Execution) => claims.get(attemptName(execution))?.ended?.how === 'completed';
  const again = running.filter(({ task, fence }) => tape.claims.some(isLater(task, fence)));
  const went = running.flatMap(({ beats }) => beats.findLast(({ at }) => at > from && at < to) ?? []);
  const resumed = running.flatMap(({ beats }) => beats.find(({ at }) => at > to) ?? []);
  const none = { of: 'value', atMost: 0 } as const;
  const most = (list: readonly number[]) => list.reduce((all, each) => Math.max(all, each), 0);
  const name = (what: string) => `${nemesis}: ${what}`;
  return [
    figure(name('etcd was away'), (to - from) / 1000, 's'),
    figure(name('tasks that ran when it began'), running.length, 'tasks'),
    figure(name('completed by the same attempt'), running.filter(isDone).length, 'tasks'),
    figure(name('started again'), again.length, 'tasks', { aim: none }),
    figure(name('without a result'), running.filter(({ task }) => !tape.completed.has(task)).length, 'tasks', {
      aim: none,
    }),
    figure(name('frozen, and went on afterwards'), resumed.length, 'tasks'),
    figure(name('until the last one was frozen or done'), most(went.map(({ at }) => at - from)) / 1000, 's'),
    figure(name('until the last one went on'), most(resumed.map(({ at }) => at - to)) / 1000, 's'),
  ];
}

function isLater(task: string, fence: number): (claim: Claimed) => boolean {
  return claim => claim.task === task && claim.fence > fence;
}
