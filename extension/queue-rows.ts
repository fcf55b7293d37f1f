import * as l10n from '@vscode/l10n';
import { formatAge } from '../shared/amounts.ts';
import type { NodeView, TaskSummary } from '../shared/api.ts';
import { explainPlace } from '../shared/explain-queue.ts';
import { taskIcon } from './outcome-icon.ts';
import type { Row } from './row.ts';
import { noteRow } from './task-rows.ts';

/** Nobody looks through more, and each change is drawn at once. */
const MOST_ROWS = 200;

/** What waits, in the order in which it is taken, with why; of a long queue its beginning. */
export function queueRows(tasks: readonly TaskSummary[], nodes: readonly NodeView[], now: number): Row[] {
  const queued = tasks.filter(({ state }) => state === 'queued').sort((a, b) => (a.id < b.id ? -1 : 1));
  const rows = queued.slice(0, MOST_ROWS).map((task, ahead): Row => {
    const why = explainPlace(() => ahead, task, nodes).text;
    const waits = now - task.submitted < 60_000 ? '' : ` · ${l10n.t('submitted {0}', formatAge(task.submitted, now))}`;
    const description = `${why}${waits}`;
    return {
      id: `queue:${task.id}`,
      label: task.name,
      description,
      icon: taskIcon(task),
      kind: 'task-queued',
      expandable: false,
      spoken: l10n.t`Task ${task.name} waits: ${description}`,
      task: task.id,
    };
  });
  const more = queued.length - rows.length;
  return more === 0 ? rows : [...rows, noteRow('', 'more', l10n.t('and {0} more', more))];
}
