import * as l10n from '@vscode/l10n';
import { formatAge } from '../shared/amounts.ts';
import type { NodeView, TaskSummary } from '../shared/api.ts';
import { explainQueue } from '../shared/explain-queue.ts';
import type { TaskId } from '../shared/ids.ts';
import { taskIcon } from './outcome-icon.ts';
import type { Row } from './row.ts';

/** What waits, in the order in which it is taken, with why. */
export function queueRows(tasks: readonly TaskSummary[], nodes: readonly NodeView[], now: number): Row[] {
  const queued = tasks.filter(({ state }) => state === 'queued').sort((a, b) => (a.id < b.id ? -1 : 1));
  return queued.map(task => {
    const why = explainQueue(task.id as TaskId, task, tasks, nodes).text;
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
}
