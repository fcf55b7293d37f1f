import { neverAborted } from '../../node-runtime/system/clock.ts';
import { LONG_OUTAGE, RESTORE } from './fault-names.ts';
import { loseLeader, restore, torment, type Victims } from './nemesis.ts';
import type { Plan } from './plan.ts';

/** Everything that a seed does to its cluster, to the last of it. @param onStruck told of each fault that really hurt something */
export async function courseOfFaults(plan: Plan, victims: Victims, onStruck: (fault: string) => void): Promise<void> {
  const as = (fault: string): Victims => ({ ...victims, struck: () => onStruck(fault) });
  const { faultsMs, crowdAt } = plan;
  const { outside, chance, etcd, trace } = victims;
  const tormented = torment(victims, plan.acts, plan.meanPauseMs, faultsMs, onStruck);
  if (plan.hasAging) await age(victims, faultsMs * 0.4);
  if (plan.hasLongOutage) {
    await outside.sleep(faultsMs * 0.5, neverAborted);
    await loseLeader(as(LONG_OUTAGE), chance.between(300_000, 700_000));
  }
  if (plan.hasRestore) {
    await outside.sleep(faultsMs * chance.between(0.2, 0.4), neverAborted);
    const backup = etcd.backUp();
    trace.note('etcd', `is backed up at ${etcd.revision}`);
    await outside.sleep(faultsMs * chance.between(0.1, 0.3), neverAborted);
    await restore(as(RESTORE), backup);
  }
  await tormented;
  if (crowdAt !== undefined) await thinTheCrowd(victims, crowdAt);
}

/** Nobody has stood still for those hours, with something in hand that was looked up before them. */
async function age({ scheduler, outside, nodes, trace }: Victims, afterMs: number): Promise<void> {
  await outside.sleep(afterMs, neverAborted);
  while (nodes.some(({ process }) => process?.isPaused)) await outside.sleep(1000, neverAborted);
  trace.note('world', 'is six hours older');
  scheduler.calendar += 6 * 3_600_000;
}

/** In the middle of the crowd one of the nodes dies: what it ran was passed long ago, and comes back. */
async function thinTheCrowd({ scheduler, chance, nodes, outside }: Victims, at: number): Promise<void> {
  await outside.sleep(at + 3000 - scheduler.now, neverAborted);
  chance.pick(nodes).crash();
}
