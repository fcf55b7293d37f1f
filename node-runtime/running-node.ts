import { CiError, describeError } from '../shared/errors.ts';
import type { NodeId, TaskId } from '../shared/ids.ts';
import type { MemberRecord } from '../shared/result.ts';
import type { ApiServer } from './api/api-server.ts';
import type { Cluster } from './cluster/cluster.ts';
import { updateMember } from './cluster/membership.ts';
import type { Session } from './cluster/session.ts';
import { keepSession, openSession, type SessionKeeping } from './keep-session.ts';
import type { NodeOptions, RunningNode } from './options.ts';
import { PodLife, type PodParts } from './pod-life.ts';
import { claimTasks } from './queue/claim-loop.ts';
import { keepDemand } from './queue/keep-demand.ts';
import type { History } from './queue/history.ts';
import type { NodeHealth } from './queue/node-health.ts';
import type { Claim } from './queue/records.ts';
import { RestingTasks } from './queue/resting-tasks.ts';
import { retain } from './queue/retention.ts';
import type { Slots } from './queue/slots.ts';
import { taskTrace } from './queue/task-trace.ts';
import type { Executor } from './runner/executor.ts';
import { type AttemptEnding, runAttempt } from './runner/run-attempt.ts';
import type { SupervisorKeeper } from './runner/supervisor-keeper.ts';
import { deadline, neverAborted } from './system/clock.ts';
import type { Logger } from './system/logger.ts';
import type { Metrics } from './system/metrics.ts';
import type { SpanSink } from './system/span.ts';

/** What a node is made of. */
export interface NodeParts {
  readonly cluster: Cluster;
  readonly nodeId: NodeId;
  readonly instance: string;
  readonly localToken: () => Promise<string>;
  readonly api: ApiServer;
  readonly slots: Slots;
  readonly health: NodeHealth;
  readonly supervisors: SupervisorKeeper;
  readonly executor: Executor;
  readonly history: History;
  readonly member: () => MemberRecord;
  readonly keeping: Pick<SessionKeeping, 'askInstance'>;
  readonly state: NodeState;
  readonly pod?: PodParts;
  /** Deletes the pods of tasks that nobody has claimed any more. */
  readonly reapPods?: (signal: AbortSignal) => Promise<void>;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Absent: no traces are wanted. */
  readonly traces?: SpanSink;
}

/** What changes while a node lives. */
export interface NodeState {
  session: Session | undefined;
  isDraining: boolean;
  /** It claims nothing more, so that its pod can be deleted; it may be wanted again. */
  isRetired: boolean;
}

/** How long API requests under way may take when the node stops, in milliseconds. */
const API_GRACE_MS = 5000;
/** How long leaving may take when the store does not answer, in milliseconds. */
const LEAVE_LIMIT_MS = 5000;
/** How long handing back may take once it has been decided: tasks are killed, their claims released. */
const HAND_BACK_LIMIT_MS = 30_000;

/** A node at work: a list of loops that end by their signals, in the order in which a node leaves. */
export class Node implements RunningNode {
  readonly ended: Promise<void>;
  readonly #options: NodeOptions;
  readonly #parts: NodeParts;
  readonly #resources: AsyncDisposableStack;
  readonly #ended = Promise.withResolvers<void>();
  /** Ends claiming; then, with nothing left to run, the rest. */
  readonly #claiming = new AbortController();
  readonly #handBack = new AbortController();
  readonly #living = new AbortController();
  readonly #attempts = new Set<Promise<void>>();
  readonly #pod: PodLife | undefined;
  readonly #resting: RestingTasks;
  /** These, and the claims, never reject: a loop that fails makes the node stop. */
  readonly #loops: Promise<void>[] = [];
  #claims: Promise<void> = Promise.resolve();
  #drained: Promise<void> | undefined;
  #failure: Error | undefined;

  constructor(options: NodeOptions, parts: NodeParts, resources: AsyncDisposableStack) {
    this.#options = options;
    this.#parts = parts;
    this.#resources = resources;
    this.#resting = new RestingTasks(parts.cluster.clock);
    const { pod, ...rest } = parts;
    const work = { isBusy: () => this.#attempts.size > 0, announce: () => this.#announce() };
    this.#pod = pod && new PodLife(pod, { ...rest, labels: options.labels, slots: options.slots, ...work });
    this.ended = this.#ended.promise;
    this.ended.catch(() => undefined); // Whoever awaits it hears of a failure; nobody has to.
  }

  get address(): string {
    return this.#parts.api.address;
  }

  localToken(): Promise<string> {
    return this.#parts.localToken();
  }

  /** Joins as a member and begins to work. */
  async begin(): Promise<void> {
    const keeping = this.#sessionKeeping();
    const session = await openSession(keeping, this.#living.signal);
    const { cluster, history, supervisors, logger } = this.#parts;
    const living = this.#living.signal;
    this.#loops.push(this.#loop('session', keepSession(keeping, session, living)));
    const onError = (error: unknown) => logger.warn('Cannot archive finished tasks', { error });
    const retention = retain(cluster, history, this.#options.retention ?? {}, onError, living);
    this.#loops.push(this.#loop('retention', retention));
    // A cluster on one machine has nobody who would add nodes.
    if (this.#options.etcd) this.#loops.push(this.#loop('demand', this.#keepDemand()));
    if (this.#options.slots === 0) return;
    const onLost = () => logger.error('The supervisor process was lost: its tasks are dead. Starting another');
    this.#loops.push(this.#loop('supervisor', supervisors.keep(onLost, living)));
    if (this.#parts.reapPods) this.#loops.push(this.#loop('pods', this.#parts.reapPods(living)));
    for (const [name, loop] of Object.entries(this.#pod?.begin(living) ?? {})) this.#loops.push(this.#loop(name, loop));
    const claiming = this.#claiming.signal;
    this.#claims = this.#loop(
      'claims',
      this.#pod ? this.#pod.claim(on => this.#claim(on), claiming) : this.#claim(claiming),
    );
  }

  drain(): Promise<void> {
    if (!this.#drained) {
      this.#drained = this.#drain();
      this.#drained.then(
        () => this.#settle(),
        error => this.#settle(error),
      );
    }
    return this.#drained;
  }

  hurry(): void {
    this.#handBack.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hurry();
    await this.drain();
  }

  /** A step that fails does not keep the next ones from being done. */
  async #drain(): Promise<void> {
    try {
      await this.#finishTasks();
      await this.#parts.api.stop({ graceMs: API_GRACE_MS });
    } finally {
      await this.#leave();
      await this.#resources.disposeAsync();
    }
  }

  /** What made the node stop is told rather than what went wrong while it stopped. */
  #settle(error?: unknown): void {
    this.#failure ??= error === undefined ? undefined : reasonOf(error);
    if (this.#failure) this.#ended.reject(this.#failure);
    else this.#ended.resolve();
  }

  /**
   * Claims nothing more; waits for the claims under way and for what runs, up to the drain timeout, then hands it back. A
   * store that is away keeps claims undecided and claims from being handed back: that has its limit too.
   */
  async #finishTasks(): Promise<void> {
    const { cluster, state, logger } = this.#parts;
    state.isDraining = true;
    this.#claiming.abort();
    using limit = deadline(cluster.clock, this.#options.drainTimeoutMs, this.#handBack.signal);
    limit.signal.addEventListener('abort', () => this.#handBack.abort(), { once: true });
    await this.#announce().catch(error => logger.warn('Cannot tell the cluster that this node drains', { error }));
    const ended = this.#tasksEnded();
    await Promise.race([ended, fired(this.#handBack.signal)]);
    using handBackLimit = deadline(cluster.clock, HAND_BACK_LIMIT_MS, neverAborted);
    await Promise.race([ended, fired(handBackLimit.signal)]);
  }

  async #tasksEnded(): Promise<void> {
    await this.#claims;
    while (this.#attempts.size > 0) await Promise.all(this.#attempts);
  }

  /**
   * The loops end before the session does: one that ends under them would be taken for a lost one, and another opened. Claims
   * end after it: one that is still undecided is given up with the session, and its lock, should there be one, goes with the lease.
   */
  async #leave(): Promise<void> {
    const { cluster, state } = this.#parts;
    this.#living.abort();
    await Promise.all(this.#loops);
    using limit = deadline(cluster.clock, LEAVE_LIMIT_MS, neverAborted);
    // A store that does not answer now ends the lease by itself, 30 s later.
    await state.session?.close(limit.signal).catch(() => undefined);
    await this.#claims;
  }

  #sessionKeeping(): SessionKeeping {
    const { cluster, member, keeping, state, supervisors } = this.#parts;
    return {
      cluster,
      member,
      askInstance: keeping.askInstance,
      onRenewed: renewal => supervisors.renewed(renewal),
      onSession: session => {
        state.session = session;
      },
      onNotice: this.#options.onNotice,
    };
  }

  async #announce(): Promise<void> {
    const { cluster, state, member } = this.#parts;
    if (state.session) await updateMember(cluster, state.session, member(), this.#living.signal);
  }

  #keepDemand(): Promise<void> {
    const { cluster, nodeId: node, instance, state, logger } = this.#parts;
    const onError = (error: unknown) => logger.warn('Cannot count the demand', { error });
    return keepDemand(cluster, { node, instance, session: () => state.session }, onError, this.#living.signal);
  }

  #claim(signal: AbortSignal): Promise<void> {
    const { cluster, nodeId, instance, slots, health, state, supervisors, metrics } = this.#parts;
    return claimTasks(
      {
        cluster,
        node: nodeId,
        instance,
        address: () => this.address,
        slots,
        labels: new Set(this.#options.labels),
        session: () => (supervisors.isRunning && health.isWell ? state.session : undefined),
        accepts: this.#options.accepts ?? (() => true),
        resting: this.#resting,
        run: (claim, session, freeSlots) => this.#run(claim, session, freeSlots),
        observe: {
          claimed: transactions => {
            metrics.tasksClaimed.inc();
            metrics.claimTransactions.inc({ result: 'won' }, transactions);
          },
          lost: transactions => metrics.claimTransactions.inc({ result: 'lost' }, transactions),
        },
      },
      signal,
    );
  }

  async #run(claim: Claim, session: Session, freeSlots: () => void): Promise<void> {
    const attempt = this.#attempt(claim, session, freeSlots);
    this.#attempts.add(attempt);
    this.#pod?.changed.notify();
    await attempt.finally(() => this.#attempts.delete(attempt));
    this.#pod?.changed.notify();
  }

  /** Never rejects: a bug in one attempt ends that attempt, and its claim with the lease of a node that is told to stop. */
  async #attempt(claim: Claim, session: Session, onExecuted: () => void): Promise<void> {
    const { cluster, executor, metrics, logger } = this.#parts;
    metrics.running.inc();
    metrics.claimLatency.observe(Math.max(0, claim.lock.claimed - claim.task.submitted) / 1000);
    logger.info('Claimed', { ...nameOf(claim), name: claim.task.name });
    try {
      const handBack = this.#handBack.signal;
      const ending = await runAttempt({ cluster, session, executor, handBack, onExecuted }, claim);
      this.#note(claim, ending);
    } catch (error) {
      logger.error('An attempt failed by a bug in the node: the node stops, so that others can take the task', {
        ...nameOf(claim),
        error,
      });
      this.#fail(error);
    } finally {
      metrics.running.dec();
    }
  }

  #note(claim: Claim, ending: AttemptEnding): void {
    const { cluster, health, metrics, logger, traces } = this.#parts;
    if (ending.kind === 'completed') {
      health.noteSuccess();
      const { outcome, message, times, log } = ending.result;
      metrics.tasksCompleted.inc({ outcome });
      metrics.logBytes.inc(log.bytes);
      metrics.taskDuration.observe({ outcome }, Math.max(0, times.finished - claim.lock.claimed) / 1000);
      traces?.add(taskTrace(claim.id, cluster.id, ending.result));
      logger.info('Completed', { ...nameOf(claim), outcome, message });
      return;
    }
    const end = ending.kind === 'fenced' ? 'lost' : ending.end;
    metrics.attemptsEnded.inc({ end });
    logger.warn('Gave up an attempt', {
      ...nameOf(claim),
      end,
      ...(ending.kind === 'released' && { message: ending.message }),
    });
    if (end === 'infrastructure' && health.noteFailure())
      logger.warn('Claims nothing for a while, as an attempt failed by the fault of this node', {
        ...nameOf(claim),
        seconds: Math.round(health.pauseMs / 1000),
      });
    if (ending.kind === 'released') this.#resting.noteGivenUp(claim.id, health.pauseMs);
  }

  /** A loop that fails takes the node down with it: another node does its work, and whoever started it hears why. */
  async #loop(name: string, running: Promise<void>): Promise<void> {
    try {
      await running;
    } catch (error) {
      if (this.#living.signal.aborted) return;
      this.#parts.logger.error(`The node stops as its ${name} loop failed`, { error });
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= reasonOf(error);
    this.hurry();
    void this.drain(); // Told by `ended`, when the node has stopped.
  }
}

function reasonOf(error: unknown): Error {
  if (error instanceof CiError) return error;
  return new Error(`The node stopped by a bug: ${describeError(error)}`, { cause: error });
}

function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** What every line about an attempt is found by. */
function nameOf({ id, lock, fence }: Claim): { task: TaskId; attempt: number; fence: number } {
  return { task: id, attempt: lock.attempt, fence };
}
