import { CiError, describeError } from '../../shared/errors.ts';
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

/** Between two watches, in milliseconds; longer each time after such as were over soon. */
const PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** A watch that has gone on for so long is a good one, in milliseconds. */
const LASTING_MS = 10_000;
/** How many may end at once, one after the other, without anything being said of it. */
const MOST_BRIEF = 5;
/** The version that was asked for is forgotten: what a list is for. */
const GONE = 410;

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
    let brief = 0;
    let isSaid = false;
    const agreed = () => {
      hasBegun = true;
      onBegun();
    };
    const lasted = () => {
      if (isSaid) onNotice('Kubernetes tells again what becomes of the pods of tasks');
      brief = 0;
      isSaid = false;
    };
    while (!signal.aborted) {
      brief++;
      const failure = await this.#watch(agreed, lasted, signal);
      if (signal.aborted) return;
      if (failure !== undefined && !hasBegun) return onFailed(failure);
      const why = failure ?? (brief > MOST_BRIEF ? new Error('each watch ends as soon as it has begun') : undefined);
      if (why !== undefined && !isSaid) {
        onNotice(`Kubernetes does not tell what becomes of the pods of tasks: ${describeError(why)}`);
        isSaid = true;
      }
      const pause = Math.min(PAUSE_MS * 2 ** brief, LONGEST_PAUSE_MS);
      await clock.sleep(pause * (0.5 + chance.random()), signal).catch(() => undefined);
    }
  }

  /** One watch, until it ends; tells why if it has failed, and calls `lasted` once it has gone on for a while. */
  async #watch(agreed: () => void, lasted: () => void, signal: AbortSignal): Promise<unknown> {
    const over = new AbortController();
    const begun = () => {
      agreed();
      void this.#parts.clock.sleep(LASTING_MS, AbortSignal.any([signal, over.signal])).then(lasted, () => undefined);
    };
    try {
      this.#version ??= await this.#list(signal);
      await this.#follow(this.#version, begun, signal);
      return undefined;
    } catch (error) {
      this.#version = undefined;
      return error;
    } finally {
      over.abort(new Error('The watch has ended'));
    }
  }

  async #follow(version: string, onAgreed: () => void, signal: AbortSignal): Promise<void> {
    for await (const event of this.#parts.pods.watchOwn(version, onAgreed, signal)) {
      if (event.type !== 'ERROR') this.#note(event);
      else if (event.object.code === GONE) this.#version = undefined;
      else throw new CiError('unavailable', `Cannot watch pods as Kubernetes has failed: ${event.object.message}`);
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
