import type { NodeView, TaskSummary } from '../../shared/api.ts';
import type { Client } from '../../shared/client.ts';
import type { TaskId } from '../../shared/ids.ts';
import type { TaskSpec } from '../../shared/task.ts';
import { explainQueue, type QueueExplanation } from '../../shared/explain-queue.ts';

/**
 * Says why a task waits, again whenever that changes, until its signal ends it. For people to look at: never rejects, and
 * says nothing when it cannot know.
 */
export async function watchQueue(
  client: Client,
  id: TaskId,
  task: Pick<TaskSpec, 'labels' | 'slots'>,
  say: (why: QueueExplanation) => void,
  signal: AbortSignal,
): Promise<void> {
  let tasks: Map<string, TaskSummary> | undefined;
  let nodes: Map<string, NodeView> | undefined;
  let last = '';
  const explain = () => {
    if (!tasks || !nodes || tasks.get(id)?.state === 'running') return;
    const why = explainQueue(id, task, tasks.values(), nodes.values());
    if (why.text !== last) say(why);
    last = why.text;
  };
  const watchTasks = async () => {
    for await (const update of client.watchTasks(signal)) {
      if (update.kind === 'snapshot') tasks = new Map(update.tasks.map(one => [one.id, one]));
      else if (update.kind === 'changed') tasks?.set(update.task.id, update.task);
      else tasks?.delete(update.id);
      explain();
    }
  };
  const watchNodes = async () => {
    for await (const update of client.watchNodes(signal)) {
      if (update.kind === 'snapshot') nodes = new Map(update.nodes.map(one => [one.node, one]));
      else if (update.kind === 'changed') nodes?.set(update.node.node, update.node);
      else nodes?.delete(update.id);
      explain();
    }
  };
  await Promise.allSettled([watchTasks(), watchNodes()]);
}
