import type { TaskSummary } from '../../shared/api.ts';
import { durationBetween, formatAge } from '../../shared/amounts.ts';
import { stateText } from './outcome-text.ts';
import type { Style } from './style.ts';
import { formatTable } from './table.ts';
import { plainText } from './text-width.ts';

export function taskTable(
  tasks: readonly TaskSummary[],
  { now, columns, style }: { now: number; columns: number | undefined; style: Style },
): string[] {
  const rows = tasks.map(task => [
    task.id,
    stateText(task, style),
    plainText(task.name),
    durationBetween(task.claimed, task.finished ?? (task.state === 'running' ? now : undefined)) ?? '',
    formatAge(task.submitted, now),
    plainText(task.node ?? ''),
  ]);
  const titles = [
    { title: 'ID' },
    { title: 'STATE' },
    { title: 'NAME', flexible: true },
    { title: 'TOOK', align: 'right' },
    { title: 'SUBMITTED' },
    { title: 'NODE', flexible: true },
  ] as const;
  return formatTable(titles, rows, columns, style);
}
