import { LONG_OUTAGE, RESTORE } from './fault-names.ts';
import type { Act } from './nemesis.ts';
import { FAIR_WEATHER, type Weather } from './network.ts';
import type { Plan } from './plan.ts';

/** One fault of a course that has been: the same number is the same fault, whichever others are left out. */
export interface ActOfCourse {
  readonly number: number;
  readonly act: Act;
  readonly at: number;
}

/**
 * What can be left out of a cluster, by names that are the same in every run of a seed: a fault, a kind of bad weather, a task, a node.
 * Not where what is promised depends on how many tasks or nodes there are.
 */
export function partsOf(plan: Plan, course: readonly ActOfCourse[]): string[] {
  const isPlain = plan.scaling === undefined && plan.crowdAt === undefined;
  return [
    ...(plan.hasRestore ? [RESTORE] : []),
    ...(plan.hasLongOutage ? [LONG_OUTAGE] : []),
    ...(plan.hasAging ? [AGING] : []),
    ...kindsOfWeather(plan),
    ...course.map(actPart),
    ...(isPlain ? plan.tasks.map(({ spec }) => spec.name!) : []),
    ...(isPlain ? plan.slots.map((_, at) => nodePart(at)) : []),
  ];
}

/** The same plan with these parts alone. Which faults and nodes are left out, `hasAct` and `hasNode` tell. */
export function withOnly(plan: Plan, parts: readonly string[]): Plan {
  const only = new Set(parts);
  // Which acts there are shows only as they come.
  const known = new Set(partsOf(plan, []));
  const unknown = parts.find(part => !known.has(part) && !/^act \d+$/.test(part));
  if (unknown !== undefined)
    throw new Error(`Cannot simulate as there is no such part of seed ${plan.seed}: ${unknown}`);
  const isPlain = plan.scaling === undefined && plan.crowdAt === undefined;
  const mild = (kind: Kind) => onlyWeather(plan.weather[kind], each => only.has(weatherPart(kind, each)));
  return {
    ...plan,
    only,
    hasRestore: plan.hasRestore && only.has(RESTORE),
    hasLongOutage: plan.hasLongOutage && only.has(LONG_OUTAGE),
    hasAging: plan.hasAging && only.has(AGING),
    weather: { store: mild('store'), objects: mild('objects'), api: mild('api') },
    tasks: isPlain ? plan.tasks.filter(({ spec }) => only.has(spec.name!)) : plan.tasks,
  };
}

export function hasAct({ only }: Plan, number: number): boolean {
  return only?.has(actPart({ number })) ?? true;
}

/** A node that is left out is never started. */
export function hasNode({ only, scaling, crowdAt }: Plan, at: number): boolean {
  if (scaling !== undefined || crowdAt !== undefined) return true;
  return only?.has(nodePart(at)) ?? true;
}

/** Without a node nothing is kept, and that is no mistake. */
export function isCluster(parts: readonly string[], all: readonly string[]): boolean {
  const isNode = (part: string) => part.startsWith('node ');
  return parts.some(isNode) || !all.some(isNode);
}

/** For people: what an act is, its number does not say. */
export function describePart(part: string, course: readonly ActOfCourse[]): string {
  const act = course.find(each => actPart(each) === part);
  return act ? `${part}, at ${(act.at / 1000).toFixed(1)} s: ${act.act}` : part;
}

const AGING = 'six hours pass';

function actPart({ number }: Pick<ActOfCourse, 'number'>): string {
  return `act ${number}`;
}

function nodePart(at: number): string {
  return `node n${at + 1}`;
}

type Kind = keyof Plan['weather'];

function weatherPart(kind: Kind, each: string): string {
  return `${kind}: ${each}`;
}

function kindsOfWeather({ weather }: Plan): string[] {
  const kindsOf = (kind: Kind) =>
    Object.entries(weather[kind]).flatMap(([each, likely]) => (likely > 0 ? [weatherPart(kind, each)] : []));
  return (Object.keys(weather) as Kind[]).flatMap(kindsOf);
}

function onlyWeather(weather: Weather, isIn: (each: string) => boolean): Weather {
  const kept = Object.entries(weather).filter(([each]) => isIn(each));
  return { ...FAIR_WEATHER, ...Object.fromEntries(kept) };
}
