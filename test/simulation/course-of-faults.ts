import { neverAborted } from '../../node-runtime/system/clock.ts';
import { LONG_OUTAGE, RESTORE } from './fault-names.ts';
import { type Chronicle, loseLeader, restore, torment, type Victims } from './nemesis.ts';
import type { Plan } from './plan.ts';
import type { SeededChance } from './seeded-chance.ts';

/** Everything that a seed does to its cluster, to the last of it. */
export async function courseOfFaults(plan: Plan, victims: Victims, chronicle: Chronicle): Promise<void> {
  const as = (fault: string, chance: SeededChance): Victims => ({
    ...victims,
    chance,
    struck: () => chronicle.onStruck(fault),
  });
  const { faultsMs, crowdAt } = plan;
  const { outside, etcd, trace } = victims;
  // Chance of their own: whichever is left out, the others stay as they were.
  const [outage, restored] = [victims.chance.fork(), victims.chance.fork()];
  const tormented = torment(victims, plan, chronicle);
  if (plan.hasAging) await age(victims, faultsMs * 0.4);
  if (plan.hasLongOutage) {
    await outside.sleep(faultsMs * 0.5, neverAborted);
    await loseLeader(as(LONG_OUTAGE, outage), outage.between(300_000, 700_000));
  }
  if (plan.hasRestore) {
    await outside.sleep(faultsMs * restored.between(0.2, 0.4), neverAborted);
    const backup = etcd.backUp();
    trace.note('etcd', `is backed up at ${etcd.revision}`);
    await outside.sleep(faultsMs * restored.between(0.1, 0.3), neverAborted);
    await restore(as(RESTORE, restored), backup);
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
