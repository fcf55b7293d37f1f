import { join } from 'node:path';
import { CiError } from '../shared/errors.ts';
import type { NodeId } from '../shared/ids.ts';
import type { Cluster } from './cluster/cluster.ts';
import type { Applicant } from './cluster/posts.ts';
import { KubernetesApi } from './kubernetes/kubernetes-api.ts';
import type { NodeOptions } from './options.ts';
import { HandOverRoom } from './pods/hand-over-room.ts';
import { startPodSupervisor } from './pods/pod-supervisor.ts';
import { readPodTemplate } from './pods/pod-template.ts';
import { reapPods } from './pods/reap-pods.ts';
import { TaskPods } from './pods/task-pods.ts';
import type { Supervisor } from './runner/sandbox.ts';
import type { NodeParts } from './running-node.ts';
import { systemChance } from './system/chance.ts';
import { systemClock } from './system/clock.ts';
import type { Logger } from './system/logger.ts';

/** The supervisor of a node whose tasks run in pods. */
export async function startTaskPods(
  { listen, template }: NonNullable<NodeOptions['taskPods']>,
  { cluster, dataDir, dataBytes, slots, onNotice, pod }: NodeOptions,
  node: NodeId,
  instance: string,
): Promise<Supervisor> {
  if (!pod) throw new CiError('invalid', 'Cannot run tasks in pods of their own as the pod of this node is not known');
  return startPodSupervisor({
    api: new KubernetesApi(pod.inCluster, systemClock),
    ...{ cluster, node, instance, listen, onNotice },
    pod: pod.name,
    template: await readPodTemplate(template),
    root: join(dataDir, 'pods', node),
    ...(dataBytes !== undefined && { room: new HandOverRoom(dataBytes / 2, slots) }),
    clock: systemClock,
    chance: systemChance,
  });
}

/** Whichever node does it looks after the pods of all: whose they were may be gone. */
export async function podReaper(
  { pod }: NodeOptions,
  cluster: Cluster,
  applicant: Applicant,
  logger: Logger,
): Promise<Pick<NodeParts, 'reapPods'>> {
  if (!pod) return {};
  const { clock, chance } = cluster;
  const api = new KubernetesApi(pod.inCluster, clock);
  const parts = {
    ...{ cluster, applicant },
    place: await api.identity(),
    pods: new TaskPods({ api, cluster: cluster.id, instance: applicant.instance, clock, chance }),
    onReaped: (name: string) =>
      logger.warn('Deleted the pod of a task that nobody has claimed any more', { pod: name }),
    onError: (error: unknown) => logger.warn('Cannot look for pods that nobody has claimed', { error }),
  };
  return { reapPods: signal => reapPods(parts, signal) };
}
