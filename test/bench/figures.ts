/** One measured value, held against a floor of the same run and an aim. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What the machine can do at best, measured in the same run; null where there is nothing to compare with. */
  readonly floor: number | null;
  /** value / floor. */
  readonly ratio: number | null;
  /** In words, such as `ratio ≤ 1.5`; null for figures that are only reported. */
  readonly aim: string | null;
  readonly met: boolean | null;
}

/** What every benchmark of the project gives. */
export interface BenchResult {
  readonly bench: string;
  readonly figures: readonly Figure[];
}

export type Bench = (log: (text: string) => void) => Promise<readonly Figure[]>;

export interface Aim {
  readonly of: 'value' | 'ratio';
  readonly atMost?: number;
  readonly atLeast?: number;
}

export function figure(name: string, value: number, unit: string, options: { floor?: number; aim?: Aim } = {}): Figure {
  const { floor, aim } = options;
  const ratio = floor === undefined ? null : round(value / floor);
  const measured = aim?.of === 'ratio' ? ratio : value;
  const met =
    aim && measured !== null
      ? measured <= (aim.atMost ?? Number.POSITIVE_INFINITY) && measured >= (aim.atLeast ?? 0)
      : null;
  return {
    name,
    value: round(value),
    unit,
    floor: floor === undefined ? null : round(floor),
    ratio,
    aim: aim ? words(aim, unit) : null,
    met,
  };
}

function words({ of, atMost, atLeast }: Aim, unit: string): string {
  const what = of === 'ratio' ? 'ratio' : unit;
  return atMost === undefined ? `${what} ≥ ${atLeast}` : `${what} ≤ ${atMost}`;
}

/** What is counted is told to the last one. */
function round(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(4));
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** The nearest-rank percentile. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1))] ?? Number.NaN;
}

/** A table for people. */
export function formatFigures({ bench, figures }: BenchResult): string {
  const rows = figures.map(({ name, value, unit, floor, ratio, aim, met }) => [
    name,
    `${value} ${unit}`,
    floor === null ? '' : `floor ${floor}`,
    ratio === null ? '' : `× ${ratio}`,
    aim === null ? '' : `${aim}: ${met ? 'met' : 'missed'}`,
  ]);
  const widths = [0, 1, 2, 3].map(column => Math.max(...rows.map(row => row[column]?.length ?? 0)));
  const lines = rows.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [bench, ...lines.map(line => `  ${line}`)].join('\n');
}
