import type { Client } from '../../shared/client.ts';
import type { TaskId } from '../../shared/ids.ts';
import type { TaskSpec } from '../../shared/task.ts';
import { explainQueue, type QueueExplanation } from '../../shared/explain-queue.ts';
import { type ClusterPicture, watchCluster } from './cluster-picture.ts';

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
  let last = '';
  const explain = ({ tasks, nodes }: ClusterPicture) => {
    if (tasks.get(id)?.state === 'running') return;
    const why = explainQueue(id, task, tasks.values(), nodes.values());
    if (why.text !== last) say(why);
    last = why.text;
  };
  await watchCluster(client, explain, signal).catch(() => undefined);
}
