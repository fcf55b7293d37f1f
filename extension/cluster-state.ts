import type { NodeView, TaskSummary } from '../shared/api.ts';
import type { NodesUpdate, TasksUpdate } from '../shared/client.ts';

/**
 * What a cluster has said of its tasks and nodes. Undefined: nothing yet. The maps stay the same while it says more: a copy for each change would keep
 * the extension busy with a busy cluster.
 */
export interface ClusterState {
  readonly tasks: ReadonlyMap<string, TaskSummary> | undefined;
  readonly nodes: ReadonlyMap<string, NodeView> | undefined;
}

export const UNKNOWN_CLUSTER: ClusterState = { tasks: undefined, nodes: undefined };

export function withTasks(state: ClusterState, update: TasksUpdate): ClusterState {
  if (update.kind === 'snapshot') return { ...state, tasks: new Map(update.tasks.map(task => [task.id, task])) };
  if (update.kind === 'changed') return { ...state, tasks: changed(state.tasks, update.task.id, update.task) };
  return { ...state, tasks: changed(state.tasks, update.id, undefined) };
}

export function withNodes(state: ClusterState, update: NodesUpdate): ClusterState {
  if (update.kind === 'snapshot') return { ...state, nodes: new Map(update.nodes.map(node => [node.node, node])) };
  if (update.kind === 'changed') return { ...state, nodes: changed(state.nodes, update.node.node, update.node) };
  return { ...state, nodes: changed(state.nodes, update.id, undefined) };
}

/** @param value undefined: it is gone */
function changed<T>(
  known: ReadonlyMap<string, T> | undefined,
  key: string,
  value: T | undefined,
): ReadonlyMap<string, T> {
  const map = known instanceof Map ? (known as Map<string, T>) : new Map<string, T>();
  if (value === undefined) map.delete(key);
  else map.set(key, value);
  return map;
}
