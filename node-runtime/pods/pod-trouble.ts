import { formatDuration } from '../../shared/duration.ts';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { SandboxLost } from '../runner/sandbox.ts';
import { SourceUnavailable } from '../workspace/source-unavailable.ts';
import { NOT_REACHED, type Role } from './pod-messages.ts';
import type { PodObject } from './pod-object.ts';

/** How long a pod may wait for its place, and for images, in milliseconds. */
const PLACE_LIMIT_MS = 600_000;
const IMAGE_LIMIT_MS = 120_000;

/** What registries and kubelets say of an image that will be there no sooner for being waited for. */
const NO_SUCH_IMAGE =
  /not found|manifest unknown|name unknown|does not exist|no such (image|manifest)|pull access denied|denied: |unauthorized|no match for platform/i;
const NEVER_PULLED = new Set(['InvalidImageName', 'ErrImageNeverPull']);
const NOT_PULLED = new Set(['ErrImagePull', 'ImagePullBackOff', 'ImageInspectError', 'RegistryUnavailable']);
const NOT_STARTED = new Set(['CreateContainerConfigError', 'CreateContainerError', 'RunContainerError', 'StartError']);

export interface Start {
  readonly role: Role;
  /** That the task has asked for; absent where the cluster decides. */
  readonly image: string | undefined;
  /** How long it has been waited for. */
  readonly waitedMs: number;
}

/**
 * Why a pod's container in that role will not come, as far as can be seen; undefined while it may. What only the task can be
 * blamed for is `invalid`, what may pass for another attempt is not.
 */
export function startTrouble(pod: PodObject | undefined, { role, image, waitedMs }: Start): CiError | undefined {
  const loss = lossOf(pod, role);
  if (!pod || pod.metadata.deletionTimestamp !== undefined) return loss;
  if (pod.status.phase === 'Failed') {
    const ended = endOf(pod, role);
    return (ended && ownFault(ended, role, image)) ?? loss;
  }
  const { waiting, terminated } = stateOf(pod, role);
  if (terminated) return ownFault(terminated, role, image) ?? loss;
  const { reason = '', message = '' } = waiting ?? {};
  const why = `${reason}${message === '' ? '' : `: ${message}`}`;
  if (
    NEVER_PULLED.has(reason) ||
    (NOT_PULLED.has(reason) && (NO_SUCH_IMAGE.test(message) || waitedMs > IMAGE_LIMIT_MS))
  )
    return imageTrouble(role, image, why, NEVER_PULLED.has(reason) || NO_SUCH_IMAGE.test(message));
  if (NOT_STARTED.has(reason)) return containerTrouble(role, image, why);
  if (waitedMs <= PLACE_LIMIT_MS) return undefined;
  const unplaced = pod.status.conditions.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  return new CiError(
    'unavailable',
    `Cannot start the pod of the task within ${formatDuration(PLACE_LIMIT_MS)}: ${unplaced?.message ?? (why || `it is ${pod.status.phase}`)}`,
  );
}

/** Why a pod is gone that was at work, and whom that is charged to. */
export function lossOf(pod: PodObject | undefined, role: Role): SandboxLost {
  if (!pod) return new SandboxLost('place', 'The pod of the task was deleted');
  const { status, metadata } = pod;
  if (status.reason === 'Evicted') {
    const end = /exceeds (the total|its|the) .*limit|exceeds the limit/i.test(status.message) ? 'crashed' : 'place';
    return new SandboxLost(end, `The pod of the task was evicted: ${status.message}`);
  }
  if (metadata.deletionTimestamp !== undefined)
    return new SandboxLost('place', `The pod of the task was deleted${disruption(pod)}`);
  const terminated = stateOf(pod, role).terminated;
  if (terminated?.reason === 'OOMKilled')
    return new SandboxLost('crashed', 'The pod of the task was killed as it needed more memory than it may have');
  if (status.reason === 'DeadlineExceeded')
    return new SandboxLost('crashed', 'The pod of the task went on for far longer than the timeout of the task');
  // What the task runs can end what watches it: were the node blamed, one task could have all nodes rest.
  const end = role === 'task' ? 'place' : 'infrastructure';
  if (status.phase === 'Failed' && status.reason !== '')
    return new SandboxLost(end, `The pod of the task has failed: ${status.reason} ${status.message}`.trim());
  if (terminated)
    return new SandboxLost(
      end,
      `The pod of the task has ended by itself, with ${terminated.exitCode}${wordsOf(terminated)}`,
    );
  return new SandboxLost(end, 'The pod of the task cannot be reached any more');
}

/** Whether what is seen explains a loss: the kubelet tells of some only after a while. */
export function explainsLoss(pod: PodObject | undefined, role: Role): boolean {
  return !pod || pod.status.phase === 'Failed' || stateOf(pod, role).terminated !== undefined;
}

type State = PodObject['status']['containerStatuses'][number]['state'];
type Terminated = NonNullable<State['terminated']>;

function stateOf({ status }: PodObject, role: Role): State {
  const statuses = role === 'prepare' ? status.initContainerStatuses : status.containerStatuses;
  return statuses.find(({ name }) => name === role)?.state ?? {};
}

function endOf(pod: PodObject, role: Role): Terminated | undefined {
  return pod.status.reason === '' ? stateOf(pod, role).terminated : undefined;
}

/** A container that has ended before it came. */
function ownFault(ended: Terminated, role: Role, image: string | undefined): CiError | undefined {
  if (ended.exitCode === NOT_REACHED)
    return new CiError('unavailable', `Cannot run the task as its pod cannot reach this node${wordsOf(ended)}`);
  // By a signal: of a machine that is shut down or short of memory, most often. That says nothing about the image.
  if (ended.reason === 'OOMKilled' || ended.exitCode > 128) return undefined;
  return containerTrouble(role, image, `it ended with ${ended.exitCode} ${ended.reason}${wordsOf(ended)}`);
}

function imageTrouble(role: Role, image: string | undefined, why: string, isFinal: boolean): CiError {
  if (role === 'prepare' || image === undefined)
    return new CiError('unavailable', `Cannot run the task as the image of this node cannot be pulled: ${why}`);
  const message = `Cannot run the task as its image ${quote(image)} cannot be pulled: ${why}`;
  return isFinal ? new CiError('invalid', message) : new SourceUnavailable(message);
}

/** Images in which nothing can be started: without a shell. */
function containerTrouble(role: Role, image: string | undefined, why: string): CiError {
  if (role === 'prepare' || image === undefined)
    return new CiError('unavailable', `Cannot start the pod of the task: ${why}`);
  return new CiError('invalid', `Cannot run the task in its image ${quote(image)}, which must have /bin/sh: ${why}`);
}

function disruption({ status }: PodObject): string {
  const target = status.conditions.find(({ type, status: is }) => type === 'DisruptionTarget' && is === 'True');
  return target ? `: ${target.reason} ${target.message}`.trimEnd() : '';
}

function wordsOf({ message }: Terminated): string {
  return message.trim() === '' ? '' : `: ${message.trim().slice(-500)}`;
}
