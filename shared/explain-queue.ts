import type { NodeView, TaskSummary } from './api.ts';
import type { TaskId } from './ids.ts';
import { CONTAINER_LABEL } from './container-label.ts';
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
  const { labels = [], slots = 1 } = task;
  const alive = [...nodes].filter(node => !node.draining && node.slots > 0);
  if (alive.length === 0) return { reason: 'no-node', text: 'no node is there to run it' };
  const labelled = alive.filter(node => labels.every(label => node.labels.includes(label)));
  if (labels.includes(CONTAINER_LABEL) && !alive.some(node => node.labels.includes(CONTAINER_LABEL)))
    return { reason: 'no-label', text: `no node has the label ${CONTAINER_LABEL}, as none runs tasks in containers` };
  if (labelled.length === 0)
    return { reason: 'no-label', text: `no node has ${count(labels.length, 'label')} ${labels.join(', ')}` };
  if (!labelled.some(node => node.slots >= slots))
    return { reason: 'no-slots', text: `no node that it may run on has ${count(slots, 'slot')}` };
  const ahead = [...tasks].filter(other => other.state === 'queued' && other.id < id).length;
  const places = count(labelled.length, 'node');
  if (ahead > 0) return { reason: 'behind', text: `${count(ahead, 'task')} ahead of it, ${places} it may run on` };
  return { reason: 'next', text: `next, when one of ${places} is free` };
}
