import { type Judgement, LEAST_MINUTES, type Stretch, type Verdict } from './judge-soak.ts';

/** For people: what stayed the same and what did not, hour by hour. */
export function formatSoak(verdict: Verdict): string {
  const { seed, minutes, isCutShort, isFlat, tasks, actions, cpuSeconds, did, surprises } = verdict;
  const seconds = `${(cpuSeconds.node / (minutes * 60)).toFixed(3)} cores in the node, ${(cpuSeconds.supervisor / (minutes * 60)).toFixed(3)} in the supervisor`;
  return [
    `Soak, seed ${seed}: ${minutes.toFixed(0)} minutes${isCutShort ? ' (cut short)' : ''}, ${tasks} tasks, ${actions} things done, ${seconds}`,
    ...columns(soakTable(verdict)).map(line => `  ${line}`),
    ...Object.entries(did).map(([name, count]) => `  ${String(count).padStart(6)} × ${name}`),
    ...surprises.map(text => `  Not as it should be: ${text}`),
    isFlat ? 'Flat.' : 'Not flat.',
    ...(minutes < LEAST_MINUTES
      ? [`Memory is judged from ${LEAST_MINUTES} minutes on: this run says nothing of it.`]
      : []),
  ].join('\n');
}

/** A head and a row for each series: every hour, early, late, slope, rule, verdict. */
export function soakTable({ judgements, hours }: Verdict): string[][] {
  const head = ['', ...hours.map(nameOf), 'early', 'late', 'an hour', 'rule', ''];
  return [head, ...judgements.map(judgement => rowOf(judgement, hours))];
}

function nameOf({ fromMinute, toMinute }: Stretch): string {
  return `hour ${toMinute / 60 === Math.ceil(toMinute / 60) ? toMinute / 60 : fromMinute}`;
}

function rowOf(
  { name, unit, early, late, slopePerHour, rule, isFlat }: Judgement,
  hours: readonly Stretch[],
): string[] {
  const amount = (value: number | undefined) => (value === undefined ? '' : short(value));
  const verdict = isFlat === null ? '' : isFlat ? 'kept' : 'BROKEN';
  const rise = slopePerHour === null ? '' : `${slopePerHour < 0 ? '−' : '+'}${short(Math.abs(slopePerHour))}`;
  const title = unit === '' ? name : `${name}, ${unit}`;
  return [
    title,
    ...hours.map(({ values }) => amount(values[name])),
    amount(early),
    amount(late),
    rise,
    rule ?? '',
    verdict,
  ];
}

function short(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: Math.abs(value) < 100 ? 1 : 0 });
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]!.length)));
  return rows.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
}
