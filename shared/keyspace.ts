import { type ClusterId, type Fence, type NodeId, parseTaskId, type TaskId } from './ids.ts';

/** The only maker and reader of keys. What stands here is an outside contract: people look at it with etcdctl. */
export function keyspace(cluster: ClusterId) {
  const root = `${cluster}/`;
  return {
    /** Everything of this cluster. */
    root,
    cluster: `${root}cluster`,
    members: `${root}members/`,
    member: (node: NodeId) => `${root}members/${node}`,
    /** Tasks and the locks on them: a task's lock sorts straight after the task. */
    tasks: `${root}tasks/`,
    task: (task: TaskId) => `${root}tasks/${task}`,
    lock: (task: TaskId) => `${root}tasks/${task}.lock`,
    attempts: (task: TaskId) => `${root}attempts/${task}`,
    completedTasks: `${root}completed/`,
    completed: (task: TaskId) => `${root}completed/${task}`,
    tokens: `${root}tokens/`,
    token: (id: string) => `${root}tokens/${id}`,
    secrets: `${root}secrets/`,
    secret: (name: string) => `${root}secrets/${name}`,
    /** How many slots each pool is asked for: a bare number, for programs that scale. */
    demands: `${root}demand/`,
    demand: (pool: string) => `${root}demand/${pool}`,
    /** Who does what one node does for all. */
    post: (name: string) => `${root}posts/${name}`,
    /** Nodes that are asked to claim nothing more, so that they can be taken away. */
    retirings: `${root}retiring/`,
    retiring: (node: NodeId) => `${root}retiring/${node}`,
  };
}

export type Keyspace = ReturnType<typeof keyspace>;

/** What a key under `tasks/` is, or undefined for one that is not ours to read. */
export function parseTasksKey(keys: Keyspace, key: string): { kind: 'task' | 'lock'; id: TaskId } | undefined {
  if (!key.startsWith(keys.tasks)) return undefined;
  const name = key.slice(keys.tasks.length);
  const isLock = name.endsWith('.lock');
  try {
    return { kind: isLock ? 'lock' : 'task', id: parseTaskId(isLock ? name.slice(0, -'.lock'.length) : name) };
  } catch {
    return undefined;
  }
}

/**
 * Where bytes lie in the object store, relative to its prefix. The epoch (made when the cluster was formed) keeps a cluster
 * that was restored or formed anew from writing over the objects of the old one.
 */
export function objectKeys(cluster: ClusterId, epoch: string) {
  const root = `${cluster}/${epoch}/`;
  const attempt = (task: TaskId, fence: Fence) => `${root}tasks/${task}/${fence}/`;
  return {
    root,
    /** Everything one attempt wrote. No other attempt writes here: the fence is in the key. */
    attempt,
    /** Pieces of one attempt's log; what follows the slash is `log-piece.ts`'s business. */
    log: (task: TaskId, fence: Fence) => `${attempt(task, fence)}log/`,
    /** The list of a finished attempt's log pieces. */
    logManifest: (task: TaskId, fence: Fence) => `${attempt(task, fence)}log.json`,
    artifact: (task: TaskId, fence: Fence, sha256: string) => `${attempt(task, fence)}artifacts/${sha256}`,
    /** The list of an attempt's artifacts: paths, sizes, hashes. */
    artifactManifest: (task: TaskId, fence: Fence) => `${attempt(task, fence)}artifacts.json`,
    /** What a snapshot consists of: its commit, tree and the packs that hold them. */
    snapshot: (commit: string) => `${root}snapshots/${commit}.json`,
    pack: (id: string) => `${root}packs/${id}.pack`,
    /** A finished task that has left etcd. */
    finished: (task: TaskId) => `${root}history/tasks/${task}.json`,
    /** Lists of such tasks, by the day (UTC, `2026-11-24`) on which they finished. */
    historyDays: `${root}history/days/`,
    historyDay: (day: string) => `${root}history/days/${day}/`,
  };
}

export type ObjectKeys = ReturnType<typeof objectKeys>;
