import type { TaskView } from '../../shared/api.ts';
import { count, durationBetween, formatBytes } from '../../shared/amounts.ts';
import type { Connection } from './connect.ts';
import { outcomeText } from './outcome-text.ts';
import type { Style } from './style.ts';
import { plainText } from './text-width.ts';

/** The last lines of a run: how it ended, and where to look next. */
export function describeEnd(
  { id, task, result }: Extract<TaskView, { state: 'finished' }>,
  style: Style,
  { hint }: Pick<Connection, 'hint'>,
): string[] {
  const { times, attempt, node, artifacts, outcome, message } = result;
  const took = durationBetween(times.claimed ?? times.submitted, times.finished);
  const place = attempt === 0 ? [] : [`attempt ${attempt}${node === '' ? '' : ` on ${node}`}`];
  const why = outcome === 'passed' ? '' : `: ${plainText(message)}`;
  const next = (what: string, words: string) => style.dim(`  ${what.padEnd(9)} ${hint(words)}`);
  return [
    '',
    `${style.bold(outcomeText(outcome, style))}  ${plainText(task.name)}${why}`,
    style.dim(`  ${[`took ${took}`, ...place, `task ${id}`].join(', ')}`),
    ...(artifacts.count === 0
      ? []
      : [style.dim(`  kept      ${count(artifacts.count, 'file')}, ${formatBytes(artifacts.bytes)}`)]),
    next('its log', `logs ${id}`),
    ...(artifacts.count === 0 ? [] : [next('its files', `artifacts ${id} -o kept`)]),
    ...(outcome === 'passed' ? [] : [next('again', `retry ${id}`)]),
  ];
}
