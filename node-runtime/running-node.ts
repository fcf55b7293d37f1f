import { CiError, describeError } from '../shared/errors.ts';
import type { NodeId } from '../shared/ids.ts';
import type { MemberRecord } from '../shared/result.ts';
import type { ApiServer } from './api/api-server.ts';
import { Attempts } from './attempts.ts';
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
import { RestingTasks } from './queue/resting-tasks.ts';
import { retain } from './queue/retention.ts';
import type { Slots } from './queue/slots.ts';
import type { Executor } from './runner/executor.ts';
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
  readonly #attempts: Attempts;
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
    this.#attempts = new Attempts({
      ...rest,
      resting: this.#resting,
      handBack: this.#handBack.signal,
      onChanged: () => this.#pod?.changed.notify(),
      onBug: error => this.#fail(error),
    });
    const work = {
      isBusy: () => !this.#attempts.isEmpty,
      announce: () => this.#announce(),
      drain: () => void this.drain(), // Told by `ended`, when the node has stopped.
    };
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
    const living = this.#living.signal;
    this.#keep('session', keepSession(keeping, session, living));
    this.#keep('retention', this.#retain());
    // A cluster on one machine has nobody who would add nodes.
    if (this.#options.etcd) this.#keep('demand', this.#keepDemand());
    if (this.#options.slots === 0) return;
    this.#keep('supervisor', this.#keepSupervisor());
    if (this.#parts.reapPods) this.#keep('pods', this.#parts.reapPods(living));
    for (const [name, loop] of Object.entries(this.#pod?.begin(living) ?? {})) this.#keep(name, loop);
    this.#claims = this.#loop('claims', this.#keepClaiming());
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
    await this.#attempts.ended();
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

  #retain(): Promise<void> {
    const { cluster, history, logger } = this.#parts;
    const onError = (error: unknown) => logger.warn('Cannot archive finished tasks', { error });
    return retain(cluster, history, this.#options.retention ?? {}, onError, this.#living.signal);
  }

  #keepDemand(): Promise<void> {
    const { cluster, nodeId: node, instance, state, logger } = this.#parts;
    const onError = (error: unknown) => logger.warn('Cannot count the demand', { error });
    return keepDemand(cluster, { node, instance, session: () => state.session }, onError, this.#living.signal);
  }

  #keepSupervisor(): Promise<void> {
    const { supervisors, logger } = this.#parts;
    const onLost = () => logger.error('The supervisor process was lost: its tasks are dead. Starting another');
    return supervisors.keep(onLost, this.#living.signal);
  }

  #keepClaiming(): Promise<void> {
    const { signal } = this.#claiming;
    return this.#pod ? this.#pod.claim(on => this.#claim(on), signal) : this.#claim(signal);
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
        run: (claim, session, freeSlots) => this.#attempts.run(claim, session, freeSlots),
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

  #keep(name: string, running: Promise<void>): void {
    this.#loops.push(this.#loop(name, running));
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
