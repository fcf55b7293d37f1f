import { createHash } from 'node:crypto';
import type { ClusterId, Fence, NodeId, TaskId } from '../../shared/ids.ts';
import type { PlaceNeeds } from '../runner/sandbox.ts';
import type { Role } from './pod-messages.ts';
import { PROGRAM, PROGRAM_ROOT, TASK_ROOT } from './pod-places.ts';
import { bytesOf, times } from '../system/quantity.ts';
import type { PodTemplate } from './pod-template.ts';

/** By what the pods of a cluster's tasks are found, and whose they are. */
export const LABELS = {
  cluster: 'simple-ci/cluster',
  task: 'simple-ci/task',
  fence: 'simple-ci/fence',
  /** Which start of a node has made it. */
  instance: 'simple-ci/instance',
} as const;

export interface TaskPodParts {
  readonly cluster: ClusterId;
  readonly node: NodeId;
  readonly instance: string;
  /** The pod that it shall not outlive. */
  readonly owner: { readonly name: string; readonly uid: string };
  /** The image of the node, and what starts the program in it where that is not the image's own entry point. */
  readonly own: {
    readonly image: string;
    readonly command?: readonly string[];
    readonly pullPolicy?: string;
    /** What its machine fetches that image with. */
    readonly pullSecrets?: readonly object[];
  };
  readonly template: PodTemplate;
  readonly task: TaskId;
  readonly fence: Fence;
  readonly needs: PlaceNeeds;
  /** Where the node waits for it, and the secret by which both know each other, in hex. */
  readonly door: string;
  readonly key: string;
}

/** Kubernetes ends what the node has forgotten: what it needs beside its own time, and that again for the time it stood still. */
const MARGIN_SECONDS = 7200;

/** What a pod may write elsewhere than among the task's files, the program and the rest of its own image included, in bytes. */
const ELSEWHERE_BYTES = 2 ** 30;

export function podName(task: TaskId, fence: Fence): string {
  return `simple-ci-${task}-${fence}`;
}

/** Cluster ids may be too long for a label, and have characters that it may not have. */
export function clusterLabel(cluster: ClusterId): string {
  return createHash('sha256').update(cluster).digest('hex').slice(0, 32);
}

/** The pod of one attempt: what runs in it has no service account, no privileges, and nothing of the node but one way to reach it. */
export function taskPod(parts: TaskPodParts): object {
  const { cluster, node, instance, owner, own, template, task, fence, needs } = parts;
  const { labels, annotations, imagePullSecrets = own.pullSecrets, storage, user } = template;
  const image = needs.image ?? template.image ?? own.image;
  const pullPolicy = image === own.image ? own.pullPolicy : template.imagePullPolicy;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: podName(task, fence),
      labels: {
        ...labels,
        'app.kubernetes.io/component': 'task',
        [LABELS.cluster]: clusterLabel(cluster),
        [LABELS.task]: task,
        [LABELS.fence]: String(fence),
        [LABELS.instance]: instance,
      },
      annotations: {
        // Moving it would end the attempt.
        'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
        'karpenter.sh/do-not-disrupt': 'true',
        ...annotations,
        'simple-ci/cluster-id': cluster,
        'simple-ci/node': node,
      },
      // `kubectl drain` refuses machines with pods that nobody controls.
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', ...owner, controller: true }],
    },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 5,
      activeDeadlineSeconds: 2 * Math.ceil(needs.timeoutMs / 1000) + MARGIN_SECONDS,
      securityContext: {
        runAsNonRoot: true,
        ...(user !== null && { runAsUser: user, runAsGroup: user, fsGroup: user }),
        seccompProfile: { type: 'RuntimeDefault' },
      },
      ...(imagePullSecrets && { imagePullSecrets }),
      ...placementOf(template),
      initContainers: [
        {
          ...containerOf(parts, 'prepare', own.image, true),
          ...(own.command && { command: own.command }),
          args: ['attend-pod', 'prepare'],
          ...(own.pullPolicy && { imagePullPolicy: own.pullPolicy }),
        },
      ],
      containers: [
        {
          ...containerOf(parts, 'task', image, false),
          command: [PROGRAM, 'attend-pod', 'task'],
          ...(pullPolicy && { imagePullPolicy: pullPolicy }),
        },
      ],
      volumes: [
        { name: 'program', emptyDir: {} },
        { name: 'task', emptyDir: { sizeLimit: storage } },
      ],
    },
  };
}

function placementOf(template: PodTemplate): object {
  const { nodeSelector, tolerations, affinity, topologySpreadConstraints } = template;
  const { priorityClassName, runtimeClassName, hostUsers } = template;
  return {
    ...(nodeSelector && { nodeSelector }),
    ...(tolerations && { tolerations }),
    ...(affinity && { affinity }),
    ...(topologySpreadConstraints && { topologySpreadConstraints }),
    ...(priorityClassName && { priorityClassName }),
    ...(runtimeClassName && { runtimeClassName }),
    ...(hostUsers !== undefined && { hostUsers }),
  };
}

function containerOf(
  { door, key, task, fence, template, needs }: TaskPodParts,
  role: Role,
  image: string,
  isOurs: boolean,
) {
  return {
    name: role,
    image,
    env: [
      { name: 'SIMPLE_CI_POD_DOOR', value: door },
      { name: 'SIMPLE_CI_POD_NAME', value: podName(task, fence) },
      { name: 'SIMPLE_CI_POD_KEY', value: key },
    ],
    resources: resourcesOf(template, needs.slots),
    // The last words of one that does not get as far as to reach its node.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: isOurs,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'program', mountPath: PROGRAM_ROOT, ...(!isOurs && { readOnly: true }) },
      { name: 'task', mountPath: TASK_ROOT },
    ],
  };
}

/**
 * The limit of a volume does not count what is written beside it. Nothing is reserved unless the template says so, and that is not
 * above the limit: few tasks come near it.
 */
function resourcesOf({ resources: { requests = {}, limits = {} }, storage }: PodTemplate, slots: number): object {
  const amounts = (each: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(each).map(([name, amount]) => [name, times(amount, slots)]));
  const disk = 'ephemeral-storage';
  const reserved = amounts(requests)[disk] ?? '0';
  const most = Math.max(bytesOf(storage) + ELSEWHERE_BYTES, bytesOf(reserved));
  return {
    requests: { ...(!limits[disk] && { [disk]: '0' }), ...amounts(requests) },
    limits: { [disk]: String(most), ...amounts(limits) },
  };
}
