import { describeError } from '../../shared/errors.ts';
import type { Chance } from '../system/chance.ts';
import type { Clock } from '../system/clock.ts';
import { Wakeup } from '../system/wakeup.ts';
import type { PodEvent, PodObject } from './pod-object.ts';
import type { TaskPods } from './task-pods.ts';

export interface PodWatchParts {
  readonly pods: Pick<TaskPods, 'listOwn' | 'watchOwn'>;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly onNotice: (text: string) => void;
}

/** Between two watches, in milliseconds; after failures longer each time. */
const PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Follows the pods that this node has made, all by one watch: a list, and from its version on what changes. A watch that ends is begun
 * anew where it has ended; only when that is forgotten, or has failed, the list is read again.
 */
export class PodWatch implements AsyncDisposable {
  readonly #parts: PodWatchParts;
  readonly #living = new AbortController();
  readonly #followed = new Map<string, FollowedPod>();
  /** How many lists have begun. */
  #lists = 0;
  /** Up to which everything has been seen; undefined: a list is due. */
  #version: string | undefined;
  #loop: Promise<void> = Promise.resolve();

  /** Rejects where Kubernetes refuses it. */
  static async start(parts: PodWatchParts): Promise<PodWatch> {
    const watch = new PodWatch(parts);
    await new Promise<void>((resolve, reject) => {
      watch.#loop = watch.#keep(resolve, reject);
    });
    return watch;
  }

  private constructor(parts: PodWatchParts) {
    this.#parts = parts;
  }

  /** To be called before the pod is made, so that nothing of it is missed. Must be disposed of. */
  follow(name: string): FollowedPod {
    const followed = new FollowedPod(
      () => this.#lists,
      () => this.#followed.delete(name),
    );
    this.#followed.set(name, followed);
    return followed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#living.abort(new Error('The node stops'));
    await this.#loop;
  }

  /** `onFailed`: the first one has; it is not tried again. */
  async #keep(onBegun: () => void, onFailed: (error: unknown) => void): Promise<void> {
    const { clock, chance, onNotice } = this.#parts;
    const { signal } = this.#living;
    let hasBegun = false;
    let failures = 0;
    const begun = () => {
      if (failures > 0) onNotice('Kubernetes tells again what becomes of the pods of tasks');
      hasBegun = true;
      failures = 0;
      onBegun();
    };
    while (!signal.aborted) {
      try {
        await this.#watch(begun, signal);
      } catch (error) {
        this.#version = undefined;
        if (signal.aborted) return;
        if (!hasBegun) return onFailed(error);
        if (failures++ === 0)
          onNotice(`Kubernetes does not tell what becomes of the pods of tasks: ${describeError(error)}`);
      }
      const pause = Math.min(PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
      await clock.sleep(pause * (0.5 + chance.random()), signal).catch(() => undefined);
    }
  }

  async #watch(onAgreed: () => void, signal: AbortSignal): Promise<void> {
    this.#version ??= await this.#list(signal);
    for await (const event of this.#parts.pods.watchOwn(this.#version, onAgreed, signal)) {
      if (event.type === 'ERROR') this.#version = undefined;
      else this.#note(event);
      if (this.#version === undefined) return;
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const number = ++this.#lists;
    const { pods, version } = await this.#parts.pods.listOwn(signal);
    const found = new Map(pods.map(pod => [pod.metadata.name, pod]));
    for (const [name, followed] of this.#followed) {
      const pod = found.get(name);
      if (pod) followed.note(pod);
      else followed.noteLacking(number);
    }
    return version;
  }

  #note(event: Exclude<PodEvent, { type: 'ERROR' }>): void {
    this.#version = event.object.metadata.resourceVersion;
    if (event.type === 'BOOKMARK') return;
    this.#followed.get(event.object.metadata.name)?.note(event.type === 'DELETED' ? 'gone' : event.object);
  }
}

/** One pod, as Kubernetes has told of it last. */
export class FollowedPod implements Disposable {
  readonly #lists: () => number;
  readonly #forget: () => void;
  #seen: PodObject | 'gone' | undefined;
  /** How many lists had begun when it had been made. */
  #listsBefore = Number.POSITIVE_INFINITY;
  /** Notified when something else is told of it. */
  readonly changed = new Wakeup();

  constructor(lists: () => number, forget: () => void) {
    this.#lists = lists;
    this.#forget = forget;
  }

  /** Undefined while nothing has been told of it. */
  get seen(): PodObject | 'gone' | undefined {
    return this.#seen;
  }

  /** To be called when it is there: a list that begins later and lacks it says that it is gone. */
  noteMade(): void {
    this.#listsBefore = this.#lists();
  }

  note(seen: PodObject | 'gone'): void {
    this.#seen = seen;
    this.changed.notify();
  }

  noteLacking(list: number): void {
    if (this.#seen !== undefined || list > this.#listsBefore) this.note('gone');
  }

  [Symbol.dispose](): void {
    this.#forget();
  }
}
