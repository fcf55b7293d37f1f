import { CiError, type ErrorCode, isCiError } from '../../shared/errors.ts';
import type { ClusterId, Fence, TaskId } from '../../shared/ids.ts';
import type { KubernetesApi } from '../kubernetes/kubernetes-api.ts';
import type { Chance } from '../system/chance.ts';
import { type Clock, deadline } from '../system/clock.ts';
import { retry } from '../system/retry.ts';
import { PodEvent, PodList, PodObject } from './pod-object.ts';
import { clusterLabel, LABELS } from './task-pod.ts';

/** Which pod, and no other that may have its name later. */
export interface PodRef {
  readonly name: string;
  readonly uid: string;
}

export interface TaskPodsParts {
  readonly api: KubernetesApi;
  readonly cluster: ClusterId;
  readonly instance: string;
  readonly clock: Clock;
  readonly chance: Chance;
}

/** How long an API server that does not answer is asked again, in milliseconds. */
const RETRY_MS = 30_000;
/** A token may run out before Kubernetes puts the next one into the pod; the pages of a list may outlive what they are of. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set(['unavailable', 'unauthenticated', 'gone']);
const LOOK_EVERY_MS = 500;
/** Kubernetes takes 0 for "forget it at once, whether it runs or not". */
const GRACE_SECONDS = 1;
const PAGE = 200;
/** How long one watch goes on at least, and how much longer at most, in seconds: so that not all nodes begin anew at once. */
const WATCH_SECONDS = 240;
const MARGIN_MS = 30_000;

/** The pods of tasks as Kubernetes has them. */
export class TaskPods {
  readonly #parts: TaskPodsParts;

  constructor(parts: TaskPodsParts) {
    this.#parts = parts;
  }

  /** Whether it could be made: rights, admission and the shape of it. */
  async tryToCreate(pod: object, signal: AbortSignal): Promise<void> {
    await this.#parts.api.post(`${await this.#path()}?dryRun=All`, pod, { signal });
  }

  /** Its name says which attempt it is of: an answer that was lost does not make two. */
  async create(name: string, pod: object, signal: AbortSignal): Promise<PodRef> {
    const path = await this.#path();
    return this.#again(async () => {
      try {
        return refOf(parsePod(await this.#parts.api.post(path, pod, { signal })));
      } catch (error) {
        if (!isCiError(error, 'conflict')) throw error;
        const there = await this.get(name, signal);
        if (there?.metadata.labels[LABELS.instance] === this.#parts.instance) return refOf(there);
        throw new CiError('unavailable', `Cannot make a pod for the task as another has its name: ${name}`);
      }
    }, signal);
  }

  /** Undefined when there is none. */
  async get(name: string, signal: AbortSignal): Promise<PodObject | undefined> {
    try {
      return parsePod(await this.#parts.api.get(`${await this.#path()}/${name}`, { signal }));
    } catch (error) {
      if (isCiError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  /** Those of this cluster, or of one task. */
  async list(task: TaskId | undefined, signal: AbortSignal): Promise<PodObject[]> {
    return (await this.#list(task ? { [LABELS.task]: task } : {}, signal)).pods;
  }

  /** Those that this node has made, and the version from which on to watch for changes. */
  listOwn(signal: AbortSignal): Promise<{ readonly pods: readonly PodObject[]; readonly version: string }> {
    return this.#list({ [LABELS.instance]: this.#parts.instance }, signal);
  }

  /** What becomes of those that this node has made, from that version on, until Kubernetes ends it. `onAgreed`: it has begun. */
  async *watchOwn(version: string, onAgreed: () => void, signal: AbortSignal): AsyncGenerator<PodEvent, void, void> {
    const { api, clock, chance, instance } = this.#parts;
    const seconds = Math.round(WATCH_SECONDS * (1 + chance.random()));
    using limit = deadline(clock, seconds * 1000 + MARGIN_MS, signal);
    const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${seconds}&resourceVersion=${encodeURIComponent(version)}`;
    const path = `${await this.#path()}?${this.#selector({ [LABELS.instance]: instance })}&${query}`;
    const events = await api.watch(path, { signal: limit.signal });
    onAgreed();
    for await (const event of events) yield parseAs(PodEvent, event);
  }

  /** Asks for its end. One that is gone already, or has given its name to another, is no failure. */
  async remove({ name, uid }: PodRef, signal: AbortSignal): Promise<void> {
    const options = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      gracePeriodSeconds: GRACE_SECONDS,
      preconditions: { uid },
    };
    const path = `${await this.#path()}/${name}`;
    await this.#again(async () => {
      try {
        await this.#parts.api.delete(path, options, { signal });
      } catch (error) {
        if (!isCiError(error, 'not-found') && !isCiError(error, 'conflict')) throw error;
      }
    }, signal);
  }

  /** Whether Kubernetes has confirmed within that time that nothing of it runs any more. */
  async isGoneWithin({ name, uid }: PodRef, ms: number, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#parts;
    using limit = deadline(clock, ms, signal);
    while (!limit.signal.aborted) {
      const pod = await this.get(name, limit.signal).catch(() => 'unknown' as const);
      if (pod !== 'unknown' && (pod?.metadata.uid !== uid || isOver(pod))) return true;
      await clock.sleep(LOOK_EVERY_MS, limit.signal).catch(() => undefined);
    }
    signal.throwIfAborted();
    return false;
  }

  async #list(
    labels: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<{ readonly pods: PodObject[]; readonly version: string }> {
    const path = `${await this.#path()}?${this.#selector(labels)}&limit=${PAGE}`;
    return this.#again(async () => {
      const pods: PodObject[] = [];
      for (let next = ''; ; ) {
        const page = next === '' ? '' : `&continue=${encodeURIComponent(next)}`;
        const { items, metadata } = parseAs(PodList, await this.#parts.api.get(`${path}${page}`, { signal }));
        pods.push(...items);
        next = metadata.continue ?? '';
        if (next === '') return { pods, version: metadata.resourceVersion };
      }
    }, signal);
  }

  /** Of this cluster's pods, those with such labels. */
  #selector(labels: Readonly<Record<string, string>>): string {
    const all = { [LABELS.cluster]: clusterLabel(this.#parts.cluster), ...labels };
    const selector = Object.entries(all).map(([name, value]) => `${name}=${value}`);
    return `labelSelector=${encodeURIComponent(selector.join(','))}`;
  }

  async #path(): Promise<string> {
    return `/api/v1/namespaces/${await this.#parts.api.namespace()}/pods`;
  }

  #again<T>(operation: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { clock, chance } = this.#parts;
    const isTransient = (error: unknown) => isCiError(error) && TRANSIENT.has(error.code);
    return retry(operation, { clock, chance, signal, isTransient, limitMs: RETRY_MS }).catch((error: unknown) => {
      // What Kubernetes finds wrong with a request is our fault, and no verdict on the task.
      if (!isCiError(error, 'invalid')) throw error;
      throw new CiError('unavailable', error.message, { cause: error.cause });
    });
  }
}

/** Which attempt a pod is of; undefined when its labels do not say. */
export function attemptOf({ metadata }: PodObject): { readonly task: TaskId; readonly fence: Fence } | undefined {
  const { [LABELS.task]: task = '', [LABELS.fence]: fence = '' } = metadata.labels;
  return /^[0-9a-z]{1,63}$/.test(task) && /^\d{1,16}$/.test(fence)
    ? { task: task as TaskId, fence: Number(fence) }
    : undefined;
}

export function refOf({ metadata: { name, uid } }: PodObject): PodRef {
  return { name, uid };
}

/** All its containers have ended, for good. */
function isOver({ status }: PodObject): boolean {
  return status.phase === 'Succeeded' || status.phase === 'Failed';
}

function parsePod(value: unknown): PodObject {
  return parseAs(PodObject, value);
}

function parseAs<T>(
  schema: { safeParse(value: unknown): { success: true; data: T } | { success: false; error: Error } },
  value: unknown,
): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new CiError('unavailable', 'Cannot read what Kubernetes says of pods', { cause: parsed.error });
}
