import type { NodeView, TaskSummary } from '../shared/api.ts';
import type { NodesUpdate, TasksUpdate } from '../shared/client.ts';

/** What a cluster has said of its tasks and nodes. Undefined: nothing yet. */
export interface ClusterState {
  readonly tasks: ReadonlyMap<string, TaskSummary> | undefined;
  readonly nodes: ReadonlyMap<string, NodeView> | undefined;
}

export const UNKNOWN_CLUSTER: ClusterState = { tasks: undefined, nodes: undefined };

export function withTasks(state: ClusterState, update: TasksUpdate): ClusterState {
  if (update.kind === 'snapshot') return { ...state, tasks: new Map(update.tasks.map(task => [task.id, task])) };
  const tasks = new Map(state.tasks);
  if (update.kind === 'changed') tasks.set(update.task.id, update.task);
  else tasks.delete(update.id);
  return { ...state, tasks };
}

export function withNodes(state: ClusterState, update: NodesUpdate): ClusterState {
  if (update.kind === 'snapshot') return { ...state, nodes: new Map(update.nodes.map(node => [node.node, node])) };
  const nodes = new Map(state.nodes);
  if (update.kind === 'changed') nodes.set(update.node.node, update.node);
  else nodes.delete(update.id);
  return { ...state, nodes };
}
