import type { NodeView, TaskSummary } from './api.ts';
import type { TaskId } from './ids.ts';
import type { TaskSpec } from './task.ts';
import { count } from './amounts.ts';

/** Why a task waits, as far as one can see from outside: a sentence without its full stop. */
export function explainQueue(
  id: TaskId,
  task: Pick<TaskSpec, 'labels' | 'slots'>,
  tasks: Iterable<TaskSummary>,
  nodes: Iterable<NodeView>,
): string {
  const { labels = [], slots = 1 } = task;
  const alive = [...nodes].filter(node => !node.draining && node.slots > 0);
  if (alive.length === 0) return 'no node is there to run it';
  const labelled = alive.filter(node => labels.every(label => node.labels.includes(label)));
  if (labelled.length === 0) return `no node has ${count(labels.length, 'label')} ${labels.join(', ')}`;
  if (!labelled.some(node => node.slots >= slots)) return `no node that it may run on has ${count(slots, 'slot')}`;
  const ahead = [...tasks].filter(other => other.state === 'queued' && other.id < id).length;
  if (ahead > 0) return `${count(ahead, 'task')} ahead of it, ${count(labelled.length, 'node')} it may run on`;
  return `next, when one of ${count(labelled.length, 'node')} is free`;
}
