import type { TaskView } from '../../shared/api.ts';
import { CiError, isCiError } from '../../shared/errors.ts';
import type { TaskId } from '../../shared/ids.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import type { Invariants } from './invariants.ts';
import { LogFollower } from './log-follower.ts';
import type { Process } from './machine.ts';
import { type Link, OVER } from './network.ts';
import type { SeededChance } from './seeded-chance.ts';
import type { RunningParts, SimulatedNode } from './simulated-node.ts';
import type { Trace } from './trace.ts';
import type { Violation } from './violation.ts';
import { idOf, type PlannedTask } from './workload.ts';

/** How long an answer of a node's API is waited for, in milliseconds. */
const API_TIMEOUT_MS = 15_000;

export interface ClientParts {
  readonly process: Process;
  readonly link: Link;
  readonly chance: SeededChance;
  readonly nodes: readonly SimulatedNode[];
  readonly invariants: Invariants;
  readonly trace: Trace;
  readonly onViolation: (violation: Violation) => void;
  readonly onBug: (error: unknown) => void;
}

/** Somebody who submits tasks at any node, tries again for as long as it takes, cancels some and looks how they stand. */
export class Client {
  readonly #parts: ClientParts;
  /** Counts up when etcd was restored: what was acknowledged before is not any more. */
  #era = 0;
  readonly #cancelled = new Set<TaskId>();
  readonly followers: LogFollower[] = [];

  constructor(parts: ClientParts) {
    this.#parts = parts;
  }

  /** Whoever wanted a task cancelled says so again. */
  restored(): void {
    this.#era++;
    for (const follower of this.followers) follower.stop();
    for (const id of this.#cancelled) this.#cancel(id, 10_000).catch(this.#parts.onBug);
  }

  /** Never ends before the task is known to have been taken. */
  async submit(task: PlannedTask): Promise<void> {
    const { process, chance, invariants, trace } = this.#parts;
    await process.sleep(task.submitAt, neverAborted);
    const id = idOf(task, process.now(), chance);
    const take = () => this.#insist(id, ({ tasks }) => tasks.submit(id, task.spec, 'client', neverAborted));
    for (let era = -1; era !== this.#era; ) {
      era = this.#era;
      if ((await take()) === 'too late') return;
    }
    trace.note('client', `has submitted ${id}`, { program: task.program.end, ms: Math.round(task.program.ms) });
    invariants.acknowledged(id);
    const follow = [this.#watch(id)];
    if (task.isFollowed) follow.push(this.#follow(id));
    if (task.cancelAfterMs !== undefined) follow.push(this.#cancel(id, task.cancelAfterMs));
    if (task.repeatAfterMs !== undefined) follow.push(this.#repeat(id, take, task.repeatAfterMs));
    await Promise.all(follow);
  }

  #follow(id: TaskId): Promise<void> {
    const { process, chance, nodes } = this.#parts;
    const follower = new LogFollower(id, process, chance.fork(), nodes);
    this.followers.push(follower);
    return follower.follow();
  }

  /** A task that was lost with an etcd may be there again after it, and is to be cancelled once more. */
  async #repeat(id: TaskId, take: () => Promise<unknown>, afterMs: number): Promise<void> {
    await this.#parts.process.sleep(afterMs, neverAborted);
    await take();
    if (this.#cancelled.has(id)) await this.#cancel(id, 0);
  }

  async #cancel(id: TaskId, afterMs: number): Promise<void> {
    const { process, invariants, trace } = this.#parts;
    await process.sleep(afterMs, neverAborted);
    this.#cancelled.add(id);
    const era = this.#era;
    const view = await this.#insist(id, ({ tasks }) => tasks.cancel(id, { by: 'client' }, neverAborted));
    // There is nothing to cancel of a task that is not there.
    if (era !== this.#era || view === undefined) return;
    trace.note('client', `has cancelled ${id}`);
    invariants.cancelAcknowledged(id);
  }

  /** Looks now and then; what it sees must not go backwards. */
  async #watch(id: TaskId): Promise<void> {
    const { process, chance } = this.#parts;
    let seen: TaskView | undefined;
    for (let era = this.#era; seen?.state !== 'finished'; ) {
      await process.sleep(chance.between(2000, 20_000), neverAborted);
      const view = await this.#ask(chance.pick(this.#parts.nodes), ({ tasks }) => tasks.get(id, neverAborted)).catch(
        error => {
          if (isCiError(error)) return 'unknown' as const;
          throw error;
        },
      );
      if (view === 'unknown') continue;
      if (era !== this.#era) {
        era = this.#era;
        seen = undefined;
        if (!view) return;
      } else this.#compare(id, seen, view);
      seen = view;
    }
  }

  #compare(id: TaskId, before: TaskView | undefined, now: TaskView | undefined): void {
    const violated = (text: string) =>
      this.#parts.onViolation({ invariant: 'I9', task: id, text: `Task ${id} was seen to go ${text}` });
    if (!now) violated(`from ${before?.state ?? 'acknowledged'} to nowhere`);
    else if (before && placeOf(now) < placeOf(before)) violated(`from ${wordsFor(before)} back to ${wordsFor(now)}`);
  }

  /** Asks one node after the other until one has an answer; `too late` is one too, when hours have passed. */
  async #insist<T>(id: TaskId, work: (parts: RunningParts) => Promise<T>): Promise<T | 'too late'> {
    const { process, chance, nodes } = this.#parts;
    for (;;) {
      try {
        return await this.#ask(chance.pick(nodes), work);
      } catch (error) {
        if (!isCiError(error)) throw error;
        if (/made more than 24 h before/.test(error.message)) return 'too late';
        if (error.code !== 'unavailable' && error.code !== 'ambiguous')
          this.#parts.onBug(new Error(`A node refuses what it should do with ${id}`, { cause: error }));
        await process.sleep(chance.between(200, 3000), neverAborted);
      }
    }
  }

  /** One request to a node's API. Requests and answers get lost, and so do nodes. */
  #ask<T>(node: SimulatedNode, work: (parts: RunningParts) => Promise<T>): Promise<T> {
    const { process, link, chance } = this.#parts;
    return new Promise((resolve, reject) => {
      const over = new AbortController();
      const end = (settle: () => void) => {
        if (over.signal.aborted) return;
        over.abort(OVER);
        settle();
      };
      const unavailable = new CiError('unavailable', `Cannot ask ${node.id} as it does not answer`);
      process.sleep(API_TIMEOUT_MS, over.signal).then(
        () => end(() => reject(unavailable)),
        () => undefined,
      );
      link.exchange(
        () => {
          const { up } = node;
          up?.process.deliver(() => {
            work(up).then(
              value => {
                if (!chance.happens(link.weather.lostAnswer)) end(() => resolve(value));
              },
              error => end(() => reject(error)),
            );
          });
          return up !== undefined;
        },
        answer => {
          if (answer.kind === 'refused' || (answer.kind === 'done' && !answer.value)) end(() => reject(unavailable));
        },
      );
    });
  }
}

/** Larger for what comes later: queued before its first attempt, each attempt, queued when that was lost, the end. */
function placeOf(view: TaskView): number {
  switch (view.state) {
    case 'queued': {
      const last = view.past.at(-1)?.attempt;
      return last === undefined ? 0 : 2 * last + 1;
    }
    case 'running':
      return 2 * view.attempt;
    case 'finished':
      return Number.POSITIVE_INFINITY;
  }
}

function wordsFor(view: TaskView): string {
  if (view.state === 'running') return `attempt ${view.attempt}`;
  return view.state === 'queued' ? `queued after attempt ${view.past.at(-1)?.attempt ?? 0}` : 'finished';
}
