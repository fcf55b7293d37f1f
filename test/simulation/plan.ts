import { ACTS, type Act, badWeather } from './nemesis.ts';
import { FAIR_WEATHER, type Weather } from './network.ts';
import { SeededChance } from './seeded-chance.ts';
import type { Workload } from './workloads.ts';
import { planCrowd, type PlannedTask, planTasks } from './workload.ts';

/** What a seed decides: sizes, and which faults there are at all. Few at a time find more than all of them always. */
export interface Plan {
  readonly seed: number;
  readonly slots: readonly number[];
  readonly tasks: readonly PlannedTask[];
  /** How long there are faults, in milliseconds. */
  readonly faultsMs: number;
  readonly acts: readonly Act[];
  readonly meanPauseMs: number;
  readonly weather: { readonly store: Weather; readonly objects: Weather; readonly api: Weather };
  /** An outage of etcd of some ten minutes. */
  readonly hasLongOutage: boolean;
  readonly hasRestore: boolean;
  /** Hours pass at once by all calendars, so that finished tasks are old enough to leave etcd. */
  readonly hasAging: boolean;
  readonly keepMs: number;
  readonly scaling: ScalingPlan | undefined;
  /** When there is a crowd at a long queue. */
  readonly crowdAt: number | undefined;
  /** The parts that are not left out (`parts.ts`); undefined: all. */
  readonly only: ReadonlySet<string> | undefined;
}

/** What was begun before the calm goes on for two minutes, and nodes that restart then wait for half a minute more. */
export const SETTLE_MS = 240_000;

/** Nodes scale their own Deployment: how many pods it has at first, and at least and at most. */
export interface ScalingPlan {
  readonly replicas: number;
  readonly min: number;
  readonly max: number;
  /** Of each node. */
  readonly slots: number;
  readonly scaleInAfterMs: number;
}

/** @param workload by default the seed chooses */
export function planOf(seed: number, workload?: Workload): Plan {
  const plan = planPlain(seed);
  // Chance of its own: what has been added later leaves the others as they were.
  const chance = new SeededChance(seed * 2_246_822_519);
  const dice = chance.random();
  const chosen = workload ?? (dice < 0.15 ? 'scaling' : dice < 0.19 ? 'crowd' : undefined);
  if (chosen === 'scaling') return withScaling(plan, chance);
  return chosen === 'crowd' ? withCrowd(plan, chance) : plan;
}

/** Most of it comes when nothing is wrong any more, for no order is promised while nodes die. */
function withCrowd(plan: Plan, chance: SeededChance): Plan {
  const slots = Array.from({ length: chance.whole(5, 7) }, () => 1);
  const crowdAt = plan.faultsMs + SETTLE_MS + 1000;
  return {
    ...plan,
    slots,
    tasks: planCrowd({ early: chance.whole(5, 30), within: plan.faultsMs, late: 150, at: crowdAt }, chance),
    crowdAt,
    hasLongOutage: false,
    hasRestore: false,
  };
}

function withScaling(plan: Plan, chance: SeededChance): Plan {
  const max = chance.whole(2, 5);
  const slots = 2;
  const scaling = { replicas: chance.whole(1, max), min: 1, max, slots, scaleInAfterMs: 150_000 };
  return { ...plan, slots: Array.from({ length: max }, () => slots), scaling };
}

function planPlain(seed: number): Plan {
  const chance = new SeededChance(seed * 2_654_435_761);
  const hasAging = chance.happens(0.25);
  const faultsMs = chance.between(60_000, 420_000) + (hasAging ? 600_000 : 0);
  const isCalm = chance.happens(0.1);
  const weather = (likely: number, most: number) =>
    !isCalm && chance.happens(likely) ? badWeather(chance, most) : FAIR_WEATHER;
  return {
    seed,
    slots: Array.from({ length: chance.whole(1, 4) }, () => chance.whole(2, 4)),
    tasks: planTasks(chance.whole(4, 14), submittedWithin(faultsMs * (hasAging ? 0.3 : 0.8), chance), chance),
    faultsMs,
    acts: isCalm ? [] : chooseActs(chance),
    meanPauseMs: chance.pick([4000, 12_000, 40_000]),
    weather: { store: weather(0.6, 0.1), objects: weather(0.4, 0.15), api: weather(0.5, 0.1) },
    hasLongOutage: !isCalm && chance.happens(0.05),
    hasRestore: !isCalm && chance.happens(0.06),
    hasAging,
    keepMs: chance.pick([0, 86_400_000]),
    scaling: undefined,
    crowdAt: undefined,
    only: undefined,
  };
}

/** At once; or as long as there are faults; or until retention has looked, here and there, at what has ended. */
function submittedWithin(faultsMs: number, chance: SeededChance): number {
  const dice = chance.random();
  if (dice < 0.3) return 20_000;
  return dice < 0.45 ? 900_000 : faultsMs;
}

/** Few kinds of faults, or some, or many: what a single kind does often, many at once hide. */
function chooseActs(chance: SeededChance): Act[] {
  const share = chance.pick([0.08, 0.25, 0.5]);
  return (Object.keys(ACTS) as Act[]).filter(() => chance.happens(share));
}
