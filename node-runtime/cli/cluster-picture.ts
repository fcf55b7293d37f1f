import type { NodeView, TaskSummary } from '../../shared/api.ts';
import type { Client } from '../../shared/client.ts';

/** All that is to be seen of a cluster at a moment: its nodes, what waits and runs, and what finished lately. */
export interface ClusterPicture {
  readonly tasks: ReadonlyMap<string, TaskSummary>;
  readonly nodes: ReadonlyMap<string, NodeView>;
}

/**
 * Follows a cluster: `look` is called when all of it is known, and at each change from then on. Ends by rejecting: with the signal's
 * reason, or because the cluster cannot be followed.
 */
export async function watchCluster(
  client: Client,
  look: (picture: ClusterPicture) => void,
  signal: AbortSignal,
): Promise<void> {
  let tasks: Map<string, TaskSummary> | undefined;
  let nodes: Map<string, NodeView> | undefined;
  const show = () => {
    if (tasks && nodes) look({ tasks, nodes });
  };
  const followTasks = async () => {
    for await (const update of client.watchTasks(signal)) {
      if (update.kind === 'snapshot') tasks = new Map(update.tasks.map(one => [one.id, one]));
      else if (update.kind === 'changed') tasks?.set(update.task.id, update.task);
      else tasks?.delete(update.id);
      show();
    }
  };
  const followNodes = async () => {
    for await (const update of client.watchNodes(signal)) {
      if (update.kind === 'snapshot') nodes = new Map(update.nodes.map(one => [one.node, one]));
      else if (update.kind === 'changed') nodes?.set(update.node.node, update.node);
      else nodes?.delete(update.id);
      show();
    }
  };
  await Promise.all([followTasks(), followNodes()]);
}
