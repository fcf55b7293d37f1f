import { median } from '../bench/figures.ts';
import type { SoakRecord } from './run-soak.ts';
import type { Sample } from './sample.ts';
import { SERIES, type Rule, type Series } from './soak-series.ts';

export interface Judgement {
  readonly name: string;
  readonly unit: string;
  /** Of the second quarter, or of the first round of a short run. */
  readonly early: number;
  readonly late: number;
  /** By the line that fits best, from the second quarter on; null of a short run, where it says nothing. */
  readonly slopePerHour: number | null;
  /** In words; null of what is only told. */
  readonly rule: string | null;
  readonly isFlat: boolean | null;
}

/** What is told of a stretch of time, by the names of the series. */
export interface Stretch {
  readonly fromMinute: number;
  readonly toMinute: number;
  readonly values: Readonly<Record<string, number>>;
}

export interface Verdict {
  readonly bench: 'soak';
  readonly seed: string;
  readonly minutes: number;
  readonly isCutShort: boolean;
  /** Of what is judged, all has stayed the same. */
  readonly isFlat: boolean;
  readonly tasks: number;
  readonly actions: number;
  readonly cpuSeconds: { readonly node: number; readonly supervisor: number };
  readonly did: Readonly<Record<string, number>>;
  readonly surprises: readonly string[];
  readonly judgements: readonly Judgement[];
  readonly hours: readonly Stretch[];
  readonly tenMinutes: readonly Stretch[];
}

/** Below this, memory is still warming up, and its rules are not asked. */
export const LEAST_MINUTES = 30;

/** Whether what one node took stayed the same. */
export function judgeSoak({ head, samples, surprises, end }: SoakRecord): Verdict {
  const last = samples.at(-1);
  if (!last) throw new Error('Cannot judge a soak without a sample');
  const judgements = SERIES.map(series => judge(series, samples));
  return {
    bench: 'soak',
    seed: head.seed,
    minutes: last.at / 60,
    isCutShort: end === undefined,
    isFlat: judgements.every(({ isFlat }) => isFlat !== false),
    tasks: last.tasks,
    actions: last.actions,
    cpuSeconds: { node: last.node.cpuSeconds, supervisor: last.supervisor.cpuSeconds },
    did: end?.did ?? {},
    surprises,
    judgements,
    hours: stretches(samples, 60),
    tenMinutes: stretches(samples, 10),
  };
}

function judge(series: Series, samples: readonly Sample[]): Judgement {
  const { name, unit, rule, isJudgedSoon } = series;
  const minutes = (samples.at(-1)?.at ?? 0) / 60;
  const { early, late } = compared(samples);
  const isCounted = rule !== undefined && (isJudgedSoon || minutes >= LEAST_MINUTES);
  const all = valuesOf(series, samples);
  const values = { early: sum(series, valuesOf(series, early)), late: sum(series, valuesOf(series, late)) };
  return {
    name,
    unit,
    ...values,
    slopePerHour: minutes >= LEAST_MINUTES ? slope(series, samples) : null,
    rule: isCounted ? words(rule, unit) : null,
    isFlat: isCounted ? isKept(rule, values, all) : null,
  };
}

/** The second and the last quarter; of less than four rounds, the first and the last. */
function compared(samples: readonly Sample[]): { early: Sample[]; late: Sample[] } {
  const rounds = (samples.at(-1)?.round ?? 0) + 1;
  const quarterOf = ({ round }: Sample) => (rounds < 4 ? round : Math.floor((round * 4) / rounds));
  const [first, last] = rounds < 4 ? [0, rounds - 1] : [1, 3];
  const of = (quarter: number) => samples.filter(sample => quarterOf(sample) === quarter);
  return { early: of(first), late: of(last) };
}

function isKept(rule: Rule, { early, late }: { early: number; late: number }, all: readonly number[]): boolean {
  return rule.kind === 'most' ? all.every(value => value <= rule.most) : late <= early * rule.factor + rule.plus;
}

function sum({ by }: Series, values: readonly number[]): number {
  if (by === undefined) return median(values);
  return by === 'least' ? Math.min(...values) : Math.max(...values);
}

function valuesOf(series: Series, samples: readonly Sample[]): number[] {
  return samples.filter(({ phase }) => phase === series.phase).flatMap(sample => series.of(sample) ?? []);
}

/** Least squares. */
function slope(series: Series, samples: readonly Sample[]): number {
  const end = samples.at(-1)!.at;
  const points = samples
    .filter(({ phase, at }) => phase === series.phase && at >= end / 4)
    .flatMap(sample => {
      const value = series.of(sample);
      return value === undefined ? [] : [{ x: sample.at / 3600, y: value }];
    });
  const mean = (of: (point: { x: number; y: number }) => number) =>
    points.reduce((all, point) => all + of(point), 0) / points.length;
  const [x, y] = [mean(point => point.x), mean(point => point.y)];
  return mean(point => (point.x - x) * (point.y - y)) / mean(point => (point.x - x) ** 2);
}

function stretches(samples: readonly Sample[], minutes: number): Stretch[] {
  const groups = Map.groupBy(samples, ({ at }) => Math.floor(at / 60 / minutes));
  return [...groups].map(([number, group]) => {
    const figures = SERIES.flatMap(series => {
      const values = valuesOf(series, group);
      return values.length > 0 ? [[series.name, sum(series, values)] as const] : [];
    });
    return { fromMinute: number * minutes, toMinute: (number + 1) * minutes, values: Object.fromEntries(figures) };
  });
}

function words(rule: Rule, unit: string): string {
  if (rule.kind === 'most') return `always ≤ ${rule.most}`;
  const times = rule.factor === 1 ? 'early' : `${rule.factor} × early`;
  return rule.plus === 0 ? `≤ ${times}` : `≤ ${times} + ${rule.plus}${unit && ` ${unit}`}`;
}
