import * as l10n from '@vscode/l10n';
import type { NodeView, TaskSummary } from './api.ts';
import type { TaskId } from './ids.ts';
import type { TaskSpec } from './task.ts';
import { count } from './amounts.ts';

/** Why a task waits: numbers in `text` may change while the `reason` stays. `text` is a sentence without its full stop. */
export interface QueueExplanation {
  readonly reason: 'no-node' | 'no-label' | 'no-slots' | 'behind' | 'next';
  readonly text: string;
}

/** As far as one can see from outside. */
export function explainQueue(
  id: TaskId,
  task: Pick<TaskSpec, 'labels' | 'slots'>,
  tasks: Iterable<TaskSummary>,
  nodes: Iterable<NodeView>,
): QueueExplanation {
  return explainPlace(() => [...tasks].filter(other => other.state === 'queued' && other.id < id).length, task, nodes);
}

/** The same, for who knows how many tasks are ahead of it: of a long queue, not each task has to be held against all others. */
export function explainPlace(
  countAhead: () => number,
  task: Pick<TaskSpec, 'labels' | 'slots'>,
  nodes: Iterable<NodeView>,
): QueueExplanation {
  const { labels = [], slots = 1 } = task;
  const alive = [...nodes].filter(node => !node.draining && node.slots > 0);
  if (alive.length === 0) return { reason: 'no-node', text: l10n.t('no node is there to run it') };
  const labelled = alive.filter(node => labels.every(label => node.labels.includes(label)));
  if (labelled.length === 0) return { reason: 'no-label', text: noLabelText(labels) };
  if (!labelled.some(node => node.slots >= slots))
    return { reason: 'no-slots', text: l10n.t('no node that it may run on has {0}', slotsText(slots)) };
  const ahead = countAhead();
  const places = count(labelled.length, l10n.t('node'), l10n.t('nodes'));
  if (ahead > 0) {
    const tasksText = count(ahead, l10n.t('task'), l10n.t('tasks'));
    return { reason: 'behind', text: l10n.t`${tasksText} ahead of it, ${places} it may run on` };
  }
  return { reason: 'next', text: l10n.t`next, when one of ${places} is free` };
}

function noLabelText(labels: readonly string[]): string {
  if (labels.length === 1) return l10n.t('no node has the label {0}', labels[0]!);
  return l10n.t('no node has all of the labels {0}', labels.join(', '));
}

function slotsText(amount: number): string {
  return count(amount, l10n.t('slot'), l10n.t('slots'));
}
