import { parseTaskId, type TaskId } from '../../shared/ids.ts';
import { keyspace, objectKeys } from '../../shared/keyspace.ts';
import type { Outcome as TaskOutcome } from '../../shared/result.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { QueueFairness } from './queue-fairness.ts';
import type { StoredObject } from '../support/memory-object-store.ts';
import { askForDemand } from './ask-for-demand.ts';
import { Client } from './client.ts';
import { collectComposedSignals } from './composed-signals.ts';
import { courseOfFaults } from './course-of-faults.ts';
import { DemandTruth } from './demand-truth.ts';
import { BODY_CUT, refusedBy } from './fault-names.ts';
import { Executions } from './executions.ts';
import { checkEnd } from './final-checks.ts';
import { Invariants } from './invariants.ts';
import { Liveness } from './liveness.ts';
import type { LogFollower } from './log-follower.ts';
import { Machine, type Process } from './machine.ts';
import { ModelDeployment } from './model-deployment.ts';
import { ModelEtcd } from './model-etcd.ts';
import { type Act, heal, type Victims } from './nemesis.ts';
import { type ActOfCourse, hasNode, withOnly } from './parts.ts';
import { FAIR_WEATHER, Link } from './network.ts';
import { type Plan, planOf, type ScalingPlan, SETTLE_MS } from './plan.ts';
import { Refusals } from './refusals.ts';
import { Scheduler } from './scheduler.ts';
import { SeededChance } from './seeded-chance.ts';
import { CLUSTER, SimulatedNode, type Surroundings, type TaskSummaries } from './simulated-node.ts';
import { Trace } from './trace.ts';
import type { Violation } from './violation.ts';
import type { Workload } from './workloads.ts';

export interface Outcome {
  readonly plan: Plan;
  /** The same for two runs of one seed. */
  readonly hash: string;
  readonly violation: Violation | undefined;
  /** What happened and had to do with the violation, as far as it is of use. */
  readonly lines: readonly string[];
  /** The faults that there were, one after the other. */
  readonly course: readonly ActOfCourse[];
  readonly virtualMs: number;
  readonly events: number;
  readonly executions: number;
  /** How often each fault, each kind of bad weather and each ugly part of etcd really struck. */
  readonly strikes: ReadonlyMap<string, number>;
  /** How the tasks ended. */
  readonly outcomes: readonly TaskOutcome[];
}

/** What was begun before the calm has ended by then: the longest are a machine that sleeps, and a rolling upgrade. */
const LAST_FAULT_MS = 120_000;
/** No promise, but when all is over: tasks are submitted for up to 15 min, again up to 25 min later, and must end soon after that. */
const CALM_LIMIT_MS = 45 * 60_000;
/** When all is well, a task that was told to stop has ended by then, its log stored or given up. */
const CANCEL_MS = 120_000;
/** When all is well, nothing is frozen for longer. */
const THAW_MS = 60_000;
/** By their calendars, two machines may be an hour or two apart. */
const WRONG_BY_MS = 59 * 60_000;
/**
 * Not so where finished tasks leave etcd as soon as they may: with more than 10 minutes, which also come from clocks that run too fast or too
 * slow, a submission that is sent again is not promised to be known.
 */
const WRONG_BY_LITTLE_MS = 60_000;
/** Between two faults, when somebody has chosen them. */
const MEAN_PAUSE_OF_FEW_MS = 6000;
/** So long nothing may be written when there is nothing to do. */
const IDLE_MS = 120_000;

/** What is not left to the seed. */
export interface Choice {
  /** The only faults that there are, again and again. */
  readonly acts?: readonly Act[] | undefined;
  readonly workload?: Workload | undefined;
  /** The parts (`parts.ts`) that are not left out. */
  readonly only?: readonly string[] | undefined;
}

/** Runs one seed to its end, or to the first violation. */
export async function simulate(seed: number, { acts, workload, only }: Choice = {}): Promise<Outcome> {
  const chosen = planOf(seed, workload);
  const whole = acts ? { ...chosen, acts, meanPauseMs: MEAN_PAUSE_OF_FEW_MS } : chosen;
  const world = new World(only ? withOnly(whole, only) : whole);
  using _guard = guardAgainstStrays(error => world.bug(error));
  using _signals = collectComposedSignals();
  return await world.run();
}

class World {
  readonly #plan: Plan;
  readonly #scheduler = new Scheduler();
  readonly #outside: Process;
  readonly #chance: SeededChance;
  readonly #etcd: ModelEtcd;
  readonly #objects = new Map<string, StoredObject>();
  readonly #executions = new Executions();
  readonly #trace: Trace;
  readonly #invariants: Invariants;
  readonly #demand: DemandTruth;
  readonly #nodes: readonly SimulatedNode[];
  readonly #deployment: ModelDeployment | undefined;
  readonly #liveness: Liveness;
  readonly #links = new Set<Link>();
  /** What people who look on see at each node that is up. */
  readonly #feeds = new Map<string, TaskSummaries>();
  #weather: Plan['weather'];
  #violation: Violation | undefined;
  readonly #strikes = new Map<string, number>();
  readonly #refusals: Refusals;
  readonly #course: ActOfCourse[] = [];
  /** When everything has been well for long. */
  #settledAt = Number.POSITIVE_INFINITY;
  /** When etcd was last written to, but for what retention does. */
  #lastWrite = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#refusals = new Refusals(plan.seed, refusal => this.#struck(refusedBy(refusal)));
    this.#weather = plan.weather;
    this.#chance = new SeededChance(plan.seed);
    this.#outside = new Machine('world', this.#scheduler).start('time');
    this.#trace = new Trace(this.#scheduler);
    this.#etcd = new ModelEtcd(this.#outside, this.#chance.fork());
    this.#etcd.mostRevisionsInReply = this.#chance.pick([1, 3, 1000]);
    this.#etcd.onUgly = part => this.#struck(`etcd: ${part}`);
    this.#etcd.onEntry = entry => {
      for (const change of entry.changes) {
        const key = change.kind === 'put' ? change.record.key : change.key;
        // Retention may still move finished tasks away when there is nothing else to do.
        const isRetention = change.kind === 'delete' && key.startsWith(keyspace(CLUSTER).completedTasks);
        if (!isRetention) this.#lastWrite = this.#scheduler.now;
        this.#trace.note('etcd', `${entry.revision} ${change.kind} ${key} (${entry.cause})`);
      }
      this.#invariants.take(entry);
      this.#demand.take(entry.changes);
      fairness.take(entry.changes);
    };
    const fairness = new QueueFairness({
      keys: keyspace(CLUSTER),
      scheduler: this.#scheduler,
      isAsked: () => plan.crowdAt !== undefined && this.#scheduler.now > this.#settledAt,
      onViolation: violation => this.#note(violation),
    });
    this.#demand = new DemandTruth({
      keys: keyspace(CLUSTER),
      etcd: this.#etcd,
      scheduler: this.#scheduler,
      isAlive: ({ node, instance }) => this.#nodes.find(({ id }) => id === node)?.up?.instance === instance,
      onViolation: violation => this.#note(violation),
    });
    this.#invariants = new Invariants({
      keys: keyspace(CLUSTER),
      etcd: this.#etcd,
      objects: this.#objects,
      objectKeys: () => objectKeys(CLUSTER, this.#epoch()),
      executions: this.#executions,
      scheduler: this.#scheduler,
      isLeaving: name => this.#nodes.find(({ id }) => id === name)?.isLeaving ?? true,
      onViolation: violation => this.#note(violation),
    });
    this.#deployment = plan.scaling && this.#makeDeployment(plan.scaling);
    this.#nodes = plan.slots.map((slots, at) => this.#makeNode(`n${at + 1}`, slots));
    this.#liveness = new Liveness({
      keys: keyspace(CLUSTER),
      etcd: this.#etcd,
      nodes: this.#nodes,
      outside: this.#outside,
      onViolation: violation => this.#note(violation),
    });
  }

  async run(): Promise<Outcome> {
    const plan = this.#plan;
    if (this.#deployment) this.#deployment.start();
    else for (const [at, node] of this.#nodes.entries()) if (hasNode(plan, at)) node.start();
    const client = this.#startClient();
    const submitted = Promise.all(plan.tasks.map(task => client.submit(task).catch(error => this.bug(error))));
    const victims = this.#victims(client);
    const faults = courseOfFaults(plan, victims, {
      onAct: act => this.#course.push(act),
      onStruck: fault => this.#struck(fault),
    });
    this.#askForDemand().catch(error => this.bug(error));
    const during = () => this.#violation !== undefined;
    if (await this.#scheduler.runUntil(during, plan.faultsMs)) return this.#outcome();
    this.#weather = { store: FAIR_WEATHER, objects: FAIR_WEATHER, api: FAIR_WEATHER };
    heal(victims, this.#links);
    this.#trace.note('world', 'is calm from now on');
    await this.#calm(faults, submitted, () => client.followers);
    if (!this.#violation)
      await checkEnd({
        etcd: this.#etcd,
        objects: this.#objects,
        objectKeys: objectKeys(CLUSTER, this.#epoch()),
        executions: this.#executions,
        invariants: this.#invariants,
        followers: client.followers,
        onViolation: violation => this.#note(violation),
      });
    return this.#outcome();
  }

  bug(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const cause = error instanceof Error && error.cause instanceof Error ? `\n${error.cause.stack}` : '';
    this.#note({ invariant: 'no bug', task: undefined, text: text + cause });
  }

  /** Liveness: every task ends, and then nothing happens any more. */
  async #calm(
    faults: Promise<void>,
    submitted: Promise<unknown>,
    followers: () => readonly LogFollower[],
  ): Promise<void> {
    const scheduler = this.#scheduler;
    const begun = scheduler.now;
    let haveUsersLeft = false as boolean; // What is done to it in a callback, the compiler does not see.
    void Promise.all([faults, submitted]).then(() => {
      haveUsersLeft = true;
    });
    const isDone = () => this.#violation !== undefined || (haveUsersLeft && this.#invariants.unfinished.length === 0);
    this.#watchLiveness(faults, isDone).catch(error => this.bug(error));
    if (!this.#plan.hasLongOutage) this.#settledAt = begun + SETTLE_MS;
    scheduler.after(SETTLE_MS, () => this.#checkThawed());
    scheduler.after(SETTLE_MS + CANCEL_MS, () => {
      if (!this.#plan.hasLongOutage) this.#invariants.checkCancelled(begun + SETTLE_MS);
    });
    if (!(await scheduler.runUntil(isDone, begun + CALM_LIMIT_MS))) {
      // All tasks have ended, and somebody still waits for the end of a log.
      const stuck = this.#invariants.unfinished.length > 0 ? undefined : followers().find(each => !each.isOver);
      if (stuck)
        return this.#note({
          invariant: 'I8',
          task: stuck.task,
          text: `Who follows the log of task ${stuck.task} does not come to its end`,
        });
      return this.#note({
        invariant: 'I3',
        task: this.#invariants.unfinished[0],
        text: `Not everything has ended ${CALM_LIMIT_MS / 60_000} min after the last fault. Tasks that have not: ${this.#invariants.unfinished.join(', ') || 'none'}`,
      });
    }
    if (this.#violation) return;
    const isViolated = () => this.#violation !== undefined;
    await scheduler.runUntil(isViolated, scheduler.now + SETTLE_MS + (this.#plan.scaling?.scaleInAfterMs ?? 0));
    this.#trace.note('world', 'has nothing to do any more');
    const idleSince = scheduler.now;
    await scheduler.runUntil(isViolated, idleSince + IDLE_MS);
    this.#checkIdle(idleSince);
  }

  /** From the moment at which the last fault has ended. */
  async #watchLiveness(faults: Promise<void>, isOver: () => boolean): Promise<void> {
    await Promise.all([faults, this.#outside.sleep(LAST_FAULT_MS, neverAborted)]);
    this.#liveness.disturbed();
    await this.#liveness.watch(isOver);
  }

  /** Long after the last fault, tasks of nodes that have their lease go on. */
  #checkThawed(): void {
    for (const { id, up } of this.#nodes) {
      const supervisor = up?.supervisor();
      const since = supervisor?.frozenSince;
      if (!up || since === undefined || up.process.monotonic() - since < THAW_MS || this.#plan.hasLongOutage) continue;
      this.#note({ invariant: 'I3', task: undefined, text: `Tasks of ${id} are still frozen though it has its lease` });
    }
  }

  #checkIdle(since: number): void {
    this.#checkScaledIn();
    const violated = (text: string, task?: TaskId) => this.#note({ invariant: 'I12', task, text });
    for (const [node, tasks] of this.#feeds)
      for (const { id, state } of tasks.values())
        if (state !== 'finished')
          violated(`Task ${id} has ended, and who looks on at ${node} sees it ${state}`, parseTaskId(id));
    const left = [...this.#etcd.all(keyspace(CLUSTER).tasks)].map(({ key }) => key);
    if (left.length > 0) violated(`The queue is not empty: ${left.join(', ')}`);
    if (this.#lastWrite > since) violated(`An idle cluster writes, last at ${this.#lastWrite} ms`);
  }

  #checkScaledIn(): void {
    const pods = this.#nodes.filter(({ isWanted }) => isWanted).length;
    const least = this.#plan.scaling?.min ?? pods;
    if (pods === least) return;
    const text = `There are ${pods} pods, though there is nothing to do and ${least} would do`;
    this.#note({ invariant: 'I15', task: undefined, text });
  }

  #askForDemand(): Promise<void> {
    return askForDemand({
      outside: this.#outside,
      chance: this.#chance.fork(),
      nodes: this.#nodes,
      onTold: (demand, askedAt) => {
        if (askedAt < this.#settledAt) this.#demand.told(demand, askedAt);
        else this.#demand.toldInCalm(demand, askedAt);
      },
      onBug: error => this.bug(error),
    });
  }

  #startClient(): Client {
    const chance = this.#chance.fork();
    const process = new Machine('client', this.#scheduler).start('client');
    const link = this.#track(new Link(process, this.#outside, chance.fork()), 'api');
    return new Client({
      process,
      link,
      chance,
      nodes: this.#nodes,
      invariants: this.#invariants,
      trace: this.#trace,
      onViolation: violation => this.#note(violation),
      onBug: error => this.bug(error),
    });
  }

  #makeDeployment(plan: ScalingPlan): ModelDeployment {
    return new ModelDeployment({
      plan,
      nodes: () => this.#nodes,
      keys: keyspace(CLUSTER),
      etcd: this.#etcd,
      demand: this.#demand,
      outside: this.#outside,
      chance: this.#chance.fork(),
      trace: this.#trace,
      isCalm: () => this.#scheduler.now > this.#settledAt,
      onViolation: violation => this.#note(violation),
    });
  }

  #makeNode(name: string, slots: number): SimulatedNode {
    const machine = new Machine(name, this.#scheduler, this.#chance.between(0.9, 1.1));
    const surroundings: Surroundings = {
      etcd: this.#etcd,
      objects: this.#objects,
      outside: this.#outside,
      executions: this.#executions,
      trace: this.#trace,
      retention: { keepMs: this.#plan.keepMs },
      find: address => this.#nodes.find(node => node.address === address)?.up,
      onBug: error => this.bug(error),
      onNodeDied: (process, guard) => this.#invariants.nodeDied(process, guard),
      onBodyCut: () => this.#struck(BODY_CUT),
      refusals: this.#refusals,
      onPoison: () => this.#liveness.disturbed(),
      feeds: this.#feeds,
      deployment: this.#deployment,
    };
    const node = new SimulatedNode(name, machine, slots, surroundings, this.#chance.fork());
    node.prepareLinks = ([store, objects]) => {
      this.#track(store, 'store');
      this.#track(objects, 'objects');
    };
    node.prepareOtherLink = link => this.#track(link, 'objects');
    return node;
  }

  #victims(client: Client): Victims {
    return {
      scheduler: this.#scheduler,
      outside: this.#outside,
      chance: this.#chance.fork(),
      etcd: this.#etcd,
      nodes: this.#nodes,
      deployment: this.#deployment,
      trace: this.#trace,
      struck: () => undefined,
      mostWrongByMs: this.#plan.keepMs === 0 || this.#plan.hasAging ? WRONG_BY_LITTLE_MS : WRONG_BY_MS,
      mayTurnBack: !this.#plan.acts.includes('a machine sleeps'),
      onSupervisor: (guard, isPaused) => this.#invariants.supervisorPaused(guard, isPaused),
      onRestored: () => {
        client.restored();
        this.#invariants.restored();
        this.#demand.restored();
      },
    };
  }

  #track(link: Link, kind: keyof Plan['weather']): Link {
    this.#links.add(link);
    link.weather = this.#weather[kind];
    link.onWeather = weather => this.#struck(`${kind}: ${weather}`);
    return link;
  }

  #struck(fault: string): void {
    this.#strikes.set(fault, (this.#strikes.get(fault) ?? 0) + 1);
  }

  #epoch(): string {
    const record = this.#etcd.get(keyspace(CLUSTER).cluster);
    return record ? (JSON.parse(record.value) as { epoch: string }).epoch : '';
  }

  #note(violation: Violation): void {
    if (this.#violation) return;
    this.#violation = violation;
    this.#trace.note('invariant', `${violation.invariant}: ${violation.text}`);
  }

  #outcome(): Outcome {
    return {
      plan: this.#plan,
      hash: this.#trace.hash,
      violation: this.#violation,
      lines: this.#violation ? this.#trace.about(this.#violation.task) : [],
      course: this.#course,
      virtualMs: this.#scheduler.now,
      events: this.#scheduler.count,
      executions: this.#executions.count,
      strikes: this.#strikes,
      outcomes: [...this.#invariants.finished()].map(([, { outcome }]) => outcome),
    };
  }
}

/** What is thrown where nobody listens is a bug too, and would otherwise end the whole process. */
function guardAgainstStrays(onStray: (error: unknown) => void): Disposable {
  process.on('unhandledRejection', onStray);
  process.on('uncaughtException', onStray);
  return {
    [Symbol.dispose]: () => {
      process.off('unhandledRejection', onStray);
      process.off('uncaughtException', onStray);
    },
  };
}
