import { mkdir } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { CiError, isCiError } from '../../shared/errors.ts';
import type { ClusterId, Fence, NodeId, TaskId } from '../../shared/ids.ts';
import { attemptFolder } from '../../shared/node-workspace.ts';
import type { Renewal } from '../cluster/session.ts';
import type { KubernetesApi } from '../kubernetes/kubernetes-api.ts';
import type { PlaceNeeds, Sandbox, SandboxedAttempt, Supervisor } from '../runner/sandbox.ts';
import { foldersIn, removeTree } from '../runner/supervisor/sandbox-folders.ts';
import type { Chance } from '../system/chance.ts';
import { type Clock, neverAborted } from '../system/clock.ts';
import { bytesOf } from '../system/quantity.ts';
import { HandOver, type HandOverRoom } from './hand-over-room.ts';
import { PodDoor } from './pod-door.ts';
import { TASK_ROOT } from './pod-places.ts';
import { PodSandbox } from './pod-sandbox.ts';
import { PodStay } from './pod-stay.ts';
import type { PodTemplate } from './pod-template.ts';
import { PodWatch } from './pod-watch.ts';
import { podName, taskPod, type TaskPodParts } from './task-pod.ts';
import { attemptOf, refOf, TaskPods } from './task-pods.ts';

export interface PodSupervisorOptions {
  readonly api: KubernetesApi;
  readonly cluster: ClusterId;
  readonly node: NodeId;
  readonly instance: string;
  /** The pod that this node runs in. */
  readonly pod: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly template: PodTemplate;
  /** For what goes into pods and comes out of them. */
  readonly root: string;
  /** For what comes out. Absent: as much as each pod has. */
  readonly room?: HandOverRoom;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly onNotice: (text: string) => void;
}

/** How long an earlier attempt's pod may take to be gone, in milliseconds. */
const EARLIER_LIMIT_MS = 30_000;
const TRIAL_NEEDS: PlaceNeeds = { image: undefined, slots: 1, timeoutMs: 60_000 };

/**
 * Gives each attempt a pod of its own instead of a sandbox on this machine. Refuses to start where Kubernetes would refuse the
 * pods, so that a node without the rights claims no task.
 */
export async function startPodSupervisor(options: PodSupervisorOptions): Promise<PodSupervisor> {
  const { api, listen, root, onNotice, template } = options;
  const pods = new TaskPods(options);
  await removeTree(root);
  await mkdir(root, { recursive: true, mode: 0o700 });
  await using started = new AsyncDisposableStack();
  const door = started.use(await PodDoor.open(listen));
  try {
    const own = await readOwnPod(pods, options);
    const parts = { ...options, ...own, door, pods, namespace: await api.namespace() };
    const trial = podOf(parts, '0trial' as TaskId, 0, TRIAL_NEEDS, '');
    await pods.tryToCreate(trial, neverAborted);
    const watch = started.use(await PodWatch.start(parts));
    const supervisor = new PodSupervisor({ ...parts, watch });
    started.move();
    onNotice(
      `Tasks run in pods of their own in namespace ${parts.namespace}, with image ${template.image ?? own.own.image} unless they name another`,
    );
    return supervisor;
  } catch (error) {
    if (!isCiError(error)) throw error;
    throw new CiError(error.code, `Cannot run tasks in pods of their own: ${error.message}`, { cause: error.cause });
  }
}

async function readOwnPod(pods: TaskPods, { pod: name }: PodSupervisorOptions) {
  const pod = await pods.get(name, neverAborted);
  const container = pod?.spec.containers.find(({ name: its }) => its === 'node') ?? pod?.spec.containers[0];
  const address = pod?.status.podIP;
  if (!pod || !container || address === undefined)
    throw new CiError('invalid', `Cannot find this node's own pod, its image and its address: ${name}`);
  const { image, imagePullPolicy: pullPolicy, command } = container;
  const { imagePullSecrets: pullSecrets } = pod.spec;
  return {
    owner: refOf(pod),
    own: { image, ...(command && { command }), ...(pullPolicy && { pullPolicy }), ...(pullSecrets && { pullSecrets }) },
    address: isIPv6(address) ? `[${address}]` : address,
  };
}

interface PodParts extends PodSupervisorOptions {
  readonly owner: TaskPodParts['owner'];
  readonly own: TaskPodParts['own'];
  readonly address: string;
  readonly door: PodDoor;
}

function podOf(parts: PodParts, task: TaskId, fence: Fence, needs: PlaceNeeds, key: string): object {
  return taskPod({ ...parts, task, fence, needs, key, door: `${parts.address}:${parts.door.port}` });
}

interface Parts extends PodParts {
  readonly pods: TaskPods;
  readonly watch: PodWatch;
}

/** The supervisors are in the pods: this is what they have in common. */
export class PodSupervisor implements Supervisor {
  readonly isolation = 'pod';
  /** There is no process of ours that could be lost. */
  readonly lost = neverAborted;
  readonly #parts: Parts;
  #renewal: Renewal | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get pods(): TaskPods {
    return this.#parts.pods;
  }

  /** Each pod asks for the last one by itself. */
  renewed(renewal: Renewal): void {
    this.#renewal = renewal;
  }

  async open(attempt: SandboxedAttempt, signal = neverAborted): Promise<Sandbox> {
    const { pods, watch, door, root, room, clock, template } = this.#parts;
    const { task, fence, needs = TRIAL_NEEDS, isFirst = false } = attempt;
    if (!isFirst) await this.#removeEarlier(task, fence, signal);
    await using opened = new AsyncDisposableStack();
    const name = podName(task, fence);
    const visit = opened.use(door.expect(name));
    const folder = join(root, attemptFolder(task, fence));
    const folders = foldersIn(folder);
    for (const path of Object.values(folders)) await mkdir(path, { recursive: true, mode: 0o700 });
    opened.defer(() => removeTree(folder));
    const followed = opened.use(watch.follow(name));
    const wanted = podOf(this.#parts, task, fence, needs, visit.key.toString('hex'));
    const pod = await pods.create(name, wanted, signal);
    followed.noteMade();
    const { image } = needs;
    const stay = opened.use(new PodStay({ pods, pod, followed, visit, clock, image, renewal: () => this.#renewal }));
    await stay.enter('prepare', signal);
    const handOver = room && new HandOver(room);
    const sandbox = new PodSandbox({
      stay,
      visit,
      attempt,
      stop: signal,
      folders,
      inside: foldersIn(TASK_ROOT),
      mostBytes: Math.min(bytesOf(template.storage), room?.mostBytes ?? Number.POSITIVE_INFINITY),
      ...(handOver && { handOver }),
      clock,
    });
    await sandbox.begin();
    opened.move();
    return sandbox;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.door[Symbol.asyncDispose]();
    await this.#parts.watch[Symbol.asyncDispose]();
  }

  /**
   * A pod of an earlier claim is dead before the next one begins; or it stands still, on a machine that Kubernetes does not reach
   * either: no supervisor lets a task go on whose lease has ended.
   */
  async #removeEarlier(task: TaskId, fence: Fence, signal: AbortSignal): Promise<void> {
    const { pods, onNotice } = this.#parts;
    for (const pod of await pods.list(task, signal)) {
      const earlier = attemptOf(pod);
      if (!earlier || earlier.fence >= fence) continue;
      await pods.remove(refOf(pod), signal);
      if (!(await pods.isGoneWithin(refOf(pod), EARLIER_LIMIT_MS, signal)))
        onNotice(`Kubernetes does not confirm that the pod of an earlier attempt is gone: ${pod.metadata.name}`);
    }
  }
}
