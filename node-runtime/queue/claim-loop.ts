import { type CiError, isCiError } from '../../shared/errors.ts';
import type { NodeId, TaskId } from '../../shared/ids.ts';
import type { TaskRecord } from '../../shared/task.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Session } from '../cluster/session.ts';
import { deadline } from '../system/clock.ts';
import { cancelMessage } from './cancel.ts';
import { claimTask } from './claim.ts';
import { deadLetterTask, endUnheldTask } from './dead-letter.ts';
import { Hesitation } from './hesitation.ts';
import { dropLateClaim } from './late-claims.ts';
import { QueueView } from './queue-view.ts';
import type { Candidate } from './queue-window.ts';
import { type Claim, readTaskState } from './records.ts';
import type { RestingTasks } from './resting-tasks.ts';
import type { Slots } from './slots.ts';

export interface ClaimLoopOptions {
  readonly cluster: Cluster;
  readonly node: NodeId;
  readonly instance: string;
  readonly address: () => string;
  readonly slots: Slots;
  readonly labels: ReadonlySet<string>;
  /** Undefined while the node has no session. */
  readonly session: () => Session | undefined;
  /** Which tasks this node may take, beside labels and slots. */
  readonly accepts: (id: TaskId) => boolean;
  /** Left to others until they have rested. */
  readonly resting: RestingTasks;
  /**
   * Runs a claimed task and records its end. It frees the slots when nothing of the task runs any more, so that the next
   * claim need not wait for the record of the last one; they are free at the latest when it resolves. Never rejects.
   */
  readonly run: (claim: Claim, session: Session, freeSlots: () => void) => Promise<void>;
  readonly observe: ClaimObserver;
}

/** Counts for the metrics. */
export interface ClaimObserver {
  claimed(transactions: number): void;
  lost(transactions: number): void;
}

/** Claims under way at once, at most. */
const CLAIMS_IN_FLIGHT = 16;
/** A full node goes on watching the queue for this long, then stops: events it cannot use cost etcd and itself. */
const WATCH_WHILE_FULL_MS = 5000;
/** After a claim that the store could not decide, in milliseconds: times 0.5 to 1.5. */
const PAUSE_AFTER_FAILURE_MS = 500;

/**
 * Takes tasks as long as there is room, until the signal fires (the node drains); resolves when the last claim under way
 * has been decided. Tasks that it runs go on.
 */
export async function claimTasks(options: ClaimLoopOptions, signal: AbortSignal): Promise<void> {
  const { cluster, slots } = options;
  const fits = (id: TaskId, task: TaskRecord) =>
    (task.slots ?? 1) <= slots.total &&
    (task.labels ?? []).every(label => options.labels.has(label)) &&
    options.accepts(id);
  const competition = new Competition(options, new Hesitation(cluster.chance));
  while (!signal.aborted) {
    await slots.room(signal);
    const view = new QueueView(cluster, fits, id => options.resting.has(id));
    const watching = new AbortController();
    const both = AbortSignal.any([signal, watching.signal]);
    const watch = view.run(both);
    await Promise.race([competition.run(view, both), watch]).finally(() => watching.abort());
    await watch;
  }
  await competition.settled();
}

class Competition {
  readonly #options: ClaimLoopOptions;
  readonly #hesitation: Hesitation;
  /** Tasks for which this node is competing just now. */
  readonly #inFlight = new Map<TaskId, Promise<Claim | undefined>>();
  /** Tasks whose run has not come to its end: their locks go before that is noted, and seem to be free. */
  readonly #held = new Set<TaskId>();
  /** The newest. Slots may become free that were taken under an older one. */
  #view: QueueView | undefined;
  /** What a claim or a run has thrown that it should not have: the end of the loop. */
  #failure: { readonly error: unknown } | undefined;

  constructor(options: ClaimLoopOptions, hesitation: Hesitation) {
    this.#options = options;
    this.#hesitation = hesitation;
  }

  /** Competes for what the view shows; resolves when the node has been full for a while, or the signal fires. */
  async run(view: QueueView, signal: AbortSignal): Promise<void> {
    const { slots, session, resting } = this.#options;
    this.#view = view;
    while (!signal.aborted) {
      this.#throwFailure();
      const own = session();
      // Asked before the tasks are looked at: a rest that ends in between would be waited for by nobody.
      const restMs = resting.nextMs;
      if (own?.maySafelyClaim) this.#start(view, own, signal);
      if (slots.free === 0) {
        if (!(await this.#roomWithin(WATCH_WHILE_FULL_MS, signal))) return;
      } else if (own?.maySafelyClaim) {
        await this.#change(view, restMs, signal);
      } else {
        await this.#options.cluster.clock.sleep(250, signal).catch(() => undefined);
      }
    }
  }

  /** Resolves when the queue has changed, or one of the tasks in it has rested. */
  async #change(view: QueueView, restMs: number | undefined, signal: AbortSignal): Promise<void> {
    if (restMs === undefined) return view.changed.wait(signal);
    using limit = deadline(this.#options.cluster.clock, restMs, signal);
    await view.changed.wait(limit.signal);
  }

  async settled(): Promise<void> {
    await Promise.all(this.#inFlight.values());
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** Begins as many claims as there is room for. */
  #start(view: QueueView, session: Session, signal: AbortSignal): void {
    const { slots, resting } = this.#options;
    while (this.#inFlight.size < CLAIMS_IN_FLIGHT && slots.free > 0) {
      const choice = this.#hesitation.choice;
      const leaveOut = (id: TaskId) => this.#inFlight.has(id) || this.#held.has(id) || resting.has(id);
      const candidate = view.pick(choice, leaveOut, ({ task }) => (task.slots ?? 1) <= slots.free);
      if (!candidate) return;
      const hesitateMs = view.isRoaming ? 0 : this.#hesitation.draw(view.count(choice, leaveOut));
      const deciding = this.#compete(view, candidate, hesitateMs, session, signal);
      this.#inFlight.set(candidate.id, deciding);
      void this.#runIfWon(candidate, deciding, session, slots.take(candidate.task.slots ?? 1));
    }
  }

  /** Never rejects. Goes on straight after the decision: who waits for that in `settled` finds the task running. */
  async #runIfWon(
    { id }: Candidate,
    deciding: Promise<Claim | undefined>,
    session: Session,
    slots: Disposable,
  ): Promise<void> {
    const freeSlots = () => {
      slots[Symbol.dispose]();
      this.#view?.changed.notify();
    };
    try {
      const claim = await deciding;
      if (claim) this.#held.add(id);
      this.#decided(id);
      if (claim) await this.#options.run(claim, session, freeSlots);
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      this.#held.delete(id);
      freeSlots();
    }
  }

  #decided(id: TaskId): void {
    this.#inFlight.delete(id);
    this.#view?.changed.notify();
  }

  async #compete(
    view: QueueView,
    candidate: Candidate,
    hesitateMs: number,
    session: Session,
    signal: AbortSignal,
  ): Promise<Claim | undefined> {
    await this.#hesitate(view, candidate.id, hesitateMs, signal);
    if (signal.aborted || !view.isFree(candidate.id) || !session.maySafelyClaim) return undefined;
    try {
      return await this.#claim(view, candidate, session, signal);
    } catch (error) {
      if (session.lost.aborted) return undefined;
      if (!isCiError(error)) throw error;
      await this.#noteFailure(view, candidate.id, error, signal);
      return undefined;
    }
  }

  /** A record that this release cannot read stays so for a while; a store that is away or refuses is not asked again at once. */
  async #noteFailure(view: QueueView, id: TaskId, { code }: CiError, signal: AbortSignal): Promise<void> {
    if (code === 'invalid' || code === 'newer-format') view.noteTaken(id);
    else await this.#pause(signal);
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const { clock, chance } = this.#options.cluster;
    await clock.sleep(PAUSE_AFTER_FAILURE_MS * (0.5 + chance.random()), signal).catch(() => undefined);
  }

  /** Waits its random while, or until somebody else has the task. */
  async #hesitate(view: QueueView, id: TaskId, ms: number, signal: AbortSignal): Promise<void> {
    if (ms < 1) return;
    using limit = deadline(this.#options.cluster.clock, ms, signal);
    await view.untilTaken(id, limit.signal);
  }

  async #claim(
    view: QueueView,
    candidate: Candidate,
    session: Session,
    signal: AbortSignal,
  ): Promise<Claim | undefined> {
    const { cluster, node, instance, address, observe } = this.#options;
    const { id, task, revision } = candidate;
    const { lost } = session;
    if (task.cancelled) {
      view.noteTaken(id);
      return this.#endCancelled(candidate, lost);
    }
    const result = await claimTask(
      cluster,
      id,
      { value: task, revision },
      { node, instance, address: address(), lease: session.lease },
      lost,
    );
    if (result.kind === 'claimed') {
      if (!view.isRoaming) this.#hesitation.won();
      view.noteClaimed(id);
      observe.claimed(result.transactions);
      return result.claim;
    }
    if (result.kind === 'unknown') {
      dropLateClaim(cluster, id, result.nonce, lost).catch(() => undefined); // Ends with the session at the latest.
      await this.#pause(signal);
      return undefined;
    }
    view.noteTaken(id);
    if (result.kind === 'taken') {
      if (!view.isRoaming) this.#hesitation.lost();
      observe.lost(result.transactions);
    } else await deadLetterTask(cluster, id, result.task, result.attempts, lost);
    return undefined;
  }

  /** A cancelled task whose holder died before it could say so. */
  async #endCancelled({ id, task, revision }: Candidate, signal: AbortSignal): Promise<undefined> {
    const { attempts } = await readTaskState(this.#options.cluster, id, signal);
    await endUnheldTask(
      this.#options.cluster,
      id,
      { value: task, revision },
      attempts,
      'cancelled',
      cancelMessage(task.cancelled),
      signal,
    );
  }

  async #roomWithin(ms: number, signal: AbortSignal): Promise<boolean> {
    const { cluster, slots } = this.#options;
    using limit = deadline(cluster.clock, ms, signal);
    await slots.room(limit.signal);
    return slots.free > 0;
  }
}
