import { orAborted } from '../objects/until-aborted.ts';
import type { Renewal } from '../cluster/session.ts';
import { SandboxLost } from '../runner/sandbox.ts';
import { type Clock, deadline, neverAborted } from '../system/clock.ts';
import { END_OVERDUE_MS } from './overdue.ts';
import { PodChannel } from './pod-channel.ts';
import type { Visit } from './pod-door.ts';
import type { Role } from './pod-messages.ts';
import type { PodObject } from './pod-object.ts';
import { explainsLoss, lossOf, startTrouble } from './pod-trouble.ts';
import type { FollowedPod } from './pod-watch.ts';
import type { PodRef, TaskPods } from './task-pods.ts';

export interface PodStayParts {
  readonly pods: TaskPods;
  readonly pod: PodRef;
  readonly followed: FollowedPod;
  readonly visit: Visit;
  readonly clock: Clock;
  readonly renewal: () => Renewal | undefined;
  /** That the task has asked for. */
  readonly image: string | undefined;
}

/** A pod that has not come yet is looked at so often even if nothing is told of it, in milliseconds: it may have waited too long. */
const LOOK_AGAIN_MS = 30_000;
/** How long the kubelet may take to tell why a pod is gone. */
const REASON_LIMIT_MS = 10_000;
/** How long it is waited for that nothing of a pod runs, when it cannot be asked itself. */
const GONE_LIMIT_MS = 30_000;

/** One pod, from when it is made until it is gone: its containers one after the other, and what becomes of it. */
export class PodStay implements AsyncDisposable {
  readonly #parts: PodStayParts;
  readonly #lost = new AbortController();
  #channel: PodChannel | undefined;
  #isLeaving = false;

  constructor(parts: PodStayParts) {
    this.#parts = parts;
  }

  /** Fires when it is gone, and known why. Its reason is a SandboxLost. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** To the container that is at work; undefined while none is. */
  get channel(): PodChannel | undefined {
    return this.#channel;
  }

  /** Waits for its container in that role, after the one before has been told to finish. Rejects when it cannot come. */
  async enter(role: Role, signal: AbortSignal): Promise<void> {
    const { visit, clock, renewal } = this.#parts;
    const before = this.#channel;
    this.#channel = undefined;
    before?.tell({ kind: 'finish' });
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    try {
      const socket = await Promise.race([visit.control(role, either), this.#trouble(role, either)]);
      const channel = new PodChannel({ socket, clock, renewal });
      this.#channel = channel;
      const lose = () => void this.#lose(channel, role);
      channel.closed.addEventListener('abort', lose, { once: true });
      if (channel.closed.aborted) lose();
    } finally {
      over.abort(new Error('It has come, or will not'));
      before?.close();
    }
  }

  /** Kills what runs in it, and deletes it. Where it cannot be asked, Kubernetes has to confirm that nothing runs, if it can. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { pods, pod, followed, visit, clock } = this.#parts;
    this.#isLeaving = true;
    const channel = this.#channel;
    using limit = deadline(clock, GONE_LIMIT_MS, neverAborted);
    const isKilled =
      channel !== undefined &&
      (await orAborted(
        channel.ask({ kind: 'kill' }, undefined, () => END_OVERDUE_MS),
        limit.signal,
      ).then(
        () => true,
        () => false,
      ));
    channel?.tell({ kind: 'finish' });
    // What cannot be deleted now is found later: no claim stands for it any more.
    using patience = deadline(clock, GONE_LIMIT_MS, neverAborted);
    await pods.remove(pod, patience.signal).catch(() => undefined);
    if (!isKilled) await pods.isGoneWithin(pod, GONE_LIMIT_MS, patience.signal).catch(() => undefined);
    channel?.close();
    visit[Symbol.dispose]();
    followed[Symbol.dispose]();
  }

  /** Rejects as soon as it is clear that the container will not come. */
  async #trouble(role: Role, signal: AbortSignal): Promise<never> {
    const { clock, image, followed } = this.#parts;
    const began = clock.monotonic();
    for (let pod = this.#seen; ; pod = this.#seen) {
      const trouble = pod !== 'unknown' && startTrouble(pod, { role, image, waitedMs: clock.monotonic() - began });
      if (trouble) throw trouble;
      using patience = deadline(clock, LOOK_AGAIN_MS, signal);
      await followed.changed.wait(patience.signal);
      signal.throwIfAborted();
      if (patience.signal.aborted) await this.#look(signal);
    }
  }

  async #lose(channel: PodChannel, role: Role): Promise<void> {
    if (this.#isLeaving || this.#channel !== channel) return;
    this.#lost.abort(channel.isHungUp ? silent() : await this.#reason(role));
  }

  async #reason(role: Role): Promise<SandboxLost> {
    const { clock, followed } = this.#parts;
    const isExplained = (pod: PodObject | undefined | 'unknown') => pod !== 'unknown' && explainsLoss(pod, role);
    using limit = deadline(clock, REASON_LIMIT_MS, neverAborted);
    while (!limit.signal.aborted && !isExplained(this.#seen)) await followed.changed.wait(limit.signal);
    if (!isExplained(this.#seen)) await this.#look(neverAborted);
    const seen = this.#seen;
    if (seen !== 'unknown') return lossOf(seen, role);
    return new SandboxLost(
      'infrastructure',
      'The pod of the task cannot be reached any more, nor can Kubernetes be asked',
    );
  }

  /** What has been told of it last; undefined when it is gone. */
  get #seen(): PodObject | undefined | 'unknown' {
    const { followed, pod } = this.#parts;
    const { seen = 'unknown' } = followed;
    if (seen === 'unknown') return 'unknown';
    return seen !== 'gone' && seen.metadata.uid === pod.uid ? seen : undefined;
  }

  /** Asks how it is, as what is told of it may be late, or never come. */
  async #look(signal: AbortSignal): Promise<PodObject | undefined | 'unknown'> {
    const { pods, pod, followed } = this.#parts;
    try {
      const before = followed.seen;
      const found = await pods.get(pod.name, signal);
      // What was told meanwhile may be newer.
      if (followed.seen === before) followed.note(found ?? 'gone');
      return this.#seen;
    } catch {
      return 'unknown';
    }
  }
}

function silent(): SandboxLost {
  return new SandboxLost('place', 'The pod of the task does not do any more what its node asks of it');
}
