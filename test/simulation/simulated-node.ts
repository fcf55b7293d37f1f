import { CiError, isCiError } from '../../shared/errors.ts';
import type { TaskSummary } from '../../shared/api.ts';
import { type ClusterId, type NodeId, parseClusterId, parseNodeId } from '../../shared/ids.ts';
import type { MemberRecord } from '../../shared/result.ts';
import { FORMAT_VERSION } from '../../shared/task.ts';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { joinCluster } from '../../node-runtime/cluster/join-cluster.ts';
import type { Logs, TaskLogs } from '../../node-runtime/logs/logs.ts';
import { createLogs } from '../../node-runtime/logs/node-logs.ts';
import { createTaskLogs } from '../../node-runtime/logs/task-logs.ts';
import type { NodeOptions } from '../../node-runtime/options.ts';
import { PodMarker } from '../../node-runtime/kubernetes/pod-marker.ts';
import { Retirement } from '../../node-runtime/kubernetes/retirement.ts';
// Loaded by a node only when it is wanted: by then it must be there, as files are read by threads.
import '../../node-runtime/kubernetes/scaler.ts';
import type { PodParts } from '../../node-runtime/pod-life.ts';
import { History } from '../../node-runtime/queue/history.ts';
import { NodeHealth } from '../../node-runtime/queue/node-health.ts';
import { Slots } from '../../node-runtime/queue/slots.ts';
import { Tasks } from '../../node-runtime/queue/tasks.ts';
import type { TasksService } from '../../node-runtime/queue/tasks-service.ts';
import { SupervisorKeeper } from '../../node-runtime/runner/supervisor-keeper.ts';
import { TaskExecutor } from '../../node-runtime/runner/task-executor.ts';
import { Node, type NodeState } from '../../node-runtime/running-node.ts';
import type { Store } from '../../node-runtime/store/store.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import type { Logger } from '../../node-runtime/system/logger.ts';
import { createMetrics } from '../../node-runtime/system/metrics.ts';
import { MemoryObjectStore, type StoredObject } from '../support/memory-object-store.ts';
import { carryToObjects } from './carry-over.ts';
import type { Executions } from './executions.ts';
import type { Machine, Process } from './machine.ts';
import type { ModelDeployment } from './model-deployment.ts';
import type { ModelEtcd } from './model-etcd.ts';
import { ModelStore } from './model-store.ts';
import { startModelSupervisor, type ModelSupervisor } from './model-supervisor.ts';
import { Link } from './network.ts';
import { asNextRelease } from './next-release.ts';
import { readBetweenNodes } from './read-between-nodes.ts';
import type { SeededChance } from './seeded-chance.ts';
import { SECRET, SECRET_NAME } from './task-program.ts';
import type { Trace } from './trace.ts';
import type { Refusals } from './refusals.ts';

export const CLUSTER: ClusterId = parseClusterId('simulated/ci');

/** What all nodes have in common. */
export interface Surroundings {
  readonly etcd: ModelEtcd;
  readonly objects: Map<string, StoredObject>;
  readonly outside: Process;
  readonly executions: Executions;
  readonly trace: Trace;
  readonly retention: NonNullable<NodeOptions['retention']>;
  /** The node that serves at an address, if it is up. */
  readonly find: (address: string) => RunningParts | undefined;
  /** Something was thrown that is no failure but a mistake. */
  readonly onBug: (error: unknown) => void;
  /** With the supervisor that it had. */
  readonly onNodeDied: (process: Process, guard: Process | undefined) => void;
  /** What was read from the object store broke off in its middle. */
  readonly onBodyCut: () => void;
  readonly refusals: Refusals;
  /** A task takes its machine down. */
  readonly onPoison: () => void;
  /** The Deployment whose pods the nodes are, where they are. */
  readonly deployment: ModelDeployment | undefined;
  /** What people who look on see at each node that is up, by the node's name. */
  readonly feeds: Map<string, TaskSummaries>;
}

export type TaskSummaries = Map<string, TaskSummary>;

/** What a node is while it is up. */
export interface RunningParts {
  readonly node: Node;
  readonly process: Process;
  readonly cluster: Cluster;
  readonly tasks: TasksService;
  readonly logs: Logs;
  readonly taskLogs: TaskLogs;
  readonly instance: string;
  readonly storeLink: Link;
  readonly objectsLink: Link;
  readonly supervisor: () => ModelSupervisor | undefined;
}

type Life =
  | { readonly kind: 'down' }
  | { readonly kind: 'starting'; readonly process: Process; readonly links: readonly Link[] }
  | { readonly kind: 'up'; readonly parts: RunningParts };

/** So small that most of what is stored comes in several, between which it can break off. */
const PART_BYTES = 200;

/** A node of the product on a machine of the model: built as `node.ts` builds one, but for what lies below the seams. */
export class SimulatedNode {
  readonly id: NodeId;
  readonly machine: Machine;
  readonly #world: Surroundings;
  readonly #chance: SeededChance;
  readonly slots: number;
  #life: Life = { kind: 'down' };
  /** Whether it is started again whenever it has ended. */
  isWanted = false;
  /** When it was last started, in the time of its machine. */
  startedAt = 0;
  #isLeaving = false;
  release: 'this' | 'next' = 'this';

  constructor(name: string, machine: Machine, slots: number, world: Surroundings, chance: SeededChance) {
    this.id = parseNodeId(name);
    this.machine = machine;
    this.slots = slots;
    this.#world = world;
    this.#chance = chance;
  }

  get address(): string {
    return `http://${this.id}`;
  }

  get up(): RunningParts | undefined {
    return this.#life.kind === 'up' && !this.#life.parts.process.isDead ? this.#life.parts : undefined;
  }

  /** Of the node process, whatever it does. */
  get process(): Process | undefined {
    if (this.#life.kind === 'down') return undefined;
    return this.#life.kind === 'up' ? this.#life.parts.process : this.#life.process;
  }

  /** To etcd, and to the object store. */
  get links(): readonly Link[] {
    if (this.#life.kind === 'down') return [];
    return this.#life.kind === 'up' ? [this.#life.parts.storeLink, this.#life.parts.objectsLink] : this.#life.links;
  }

  /** Weather for the links of its next start. */
  prepareLinks: (links: readonly [store: Link, objects: Link]) => void = () => undefined;
  /** And for the one to Kubernetes. */
  prepareOtherLink: (link: Link) => void = () => undefined;

  start(): void {
    this.isWanted = true;
    if (this.#life.kind === 'down') void this.#run();
  }

  /** Whether it has begun to leave the cluster, or has ended. */
  get isLeaving(): boolean {
    return this.#isLeaving || !this.up;
  }

  drain(): void {
    this.#world.trace.note(this.id, 'drains');
    this.#isLeaving = true;
    void this.up?.node.drain();
  }

  /** Not to be started again. */
  stopWanting(): void {
    this.isWanted = false;
  }

  /** kill -9 of the node process. */
  crash(): void {
    this.#world.trace.note(this.id, 'is killed');
    this.process?.kill();
  }

  /** kill -9 of its supervisor. */
  crashSupervisor(): void {
    this.#world.trace.note(this.id, 'loses its supervisor');
    this.up?.supervisor()?.guard.kill();
  }

  cutPower(): void {
    this.#world.trace.note(this.id, 'loses power');
    this.machine.kill();
  }

  async #run(): Promise<void> {
    const { outside, trace, onBug, onNodeDied } = this.#world;
    const process = this.machine.start('node');
    this.startedAt = process.now();
    this.#isLeaving = false;
    trace.note(this.id, `starts as ${this.release} release`);
    this.#boot(process).then(
      parts => {
        this.#life = { kind: 'up', parts };
        trace.note(this.id, `is up as ${parts.instance}`);
        this.#lookOn(parts).catch(onBug);
        parts.node.ended.then(
          () => process.kill(),
          error => {
            // What is no CiError is a bug: the node says so itself.
            if (!(error instanceof CiError)) onBug(error);
            this.#isLeaving = true;
            trace.note(this.id, `stops: ${error.message}`);
            return parts.node.drain().then(() => process.kill());
          },
        );
      },
      error => {
        if (!(error instanceof CiError)) onBug(error);
        trace.note(this.id, `cannot start: ${error.message}`);
        process.kill();
      },
    );
    await process.ended;
    this.#world.feeds.delete(this.id);
    onNodeDied(process, this.#life.kind === 'up' ? this.#life.parts.supervisor()?.guard : undefined);
    this.#life = { kind: 'down' };
    await outside.sleep(this.#chance.between(500, 8000), neverAborted);
    if (this.isWanted && this.#life.kind === 'down') void this.#run();
  }

  /** What `startNode` does, in its order. */
  async #boot(process: Process): Promise<RunningParts> {
    const { executions, outside, retention, trace } = this.#world;
    const chance = this.#chance.fork();
    const link = () => new Link(process, outside, chance.fork());
    const links = [link(), link()] as const;
    const [storeLink, objectsLink] = links;
    this.prepareLinks(links);
    this.#life = { kind: 'starting', process, links };
    const resources = new AsyncDisposableStack();
    const clock = process;
    const instance = chance.word(16);
    const state: NodeState = { session: undefined, isDraining: false, isRetired: false };
    const slots = new Slots(this.slots);
    const health = new NodeHealth(clock);
    const metrics = createMetrics({
      version: this.release,
      node: this.id,
      slots,
      leaseAgeMs: () => state.session?.age,
      claimPauseMs: () => health.pauseMs,
      logLagMs: () => 0,
      demand: async () => new Map(),
    });
    let supervisor: ModelSupervisor | undefined;
    const startSupervisor = async () => {
      await clock.sleep(chance.between(50, 400), neverAborted);
      supervisor = startModelSupervisor({
        machine: this.machine,
        node: process,
        executions,
        onPoison: () => {
          this.#world.onPoison();
          this.cutPower();
        },
      });
      return supervisor;
    };
    const supervisors = resources.use(new SupervisorKeeper(startSupervisor, clock));
    await supervisors.begin();
    const store = resources.use(this.#openStore(new ModelStore(this.#world.etcd, storeLink, chance.fork())));
    const objects = new MemoryObjectStore({
      clock,
      chance,
      objects: this.#world.objects,
      carry: carryToObjects(objectsLink, this.#world.refusals),
      partBytes: PART_BYTES,
      onBodyCut: this.#world.onBodyCut,
    });
    const { cluster } = await joinCluster(
      CLUSTER,
      { store, objects: async () => objects, clock, chance },
      neverAborted,
    );
    const history = new History(cluster);
    const logs = createLogs({ objects, objectKeys: cluster.objectKeys, clock, chance });
    const taskLogs = createTaskLogs({
      cluster,
      logs,
      instance,
      readFromNode: readBetweenNodes(process, this.#world.find),
      history: (id, signal) => history.get(id, signal),
    });
    const executor = new TaskExecutor({
      cluster,
      logs,
      supervisor: () => supervisors.current,
      session: () => state.session,
      readSecrets: async names => new Map(names.includes(SECRET_NAME) ? [[SECRET_NAME, SECRET]] : []),
      prepareSource: async () => undefined,
    });
    const started = clock.now();
    const member = (): MemberRecord => ({
      v: FORMAT_VERSION,
      node: this.id,
      instance,
      address: this.address,
      slots: this.slots,
      labels: [],
      version: this.release,
      started,
      draining: state.isDraining || state.isRetired,
      isolation: 'none',
    });
    const api = {
      address: this.address,
      stop: () => clock.sleep(20, neverAborted),
      [Symbol.asyncDispose]: async () => undefined,
    };
    const pod = this.#pod(cluster, instance, process, chance);
    const node = new Node(
      this.#options(retention, chance),
      {
        cluster,
        nodeId: this.id,
        instance,
        localToken: async () => '',
        api,
        slots,
        health,
        supervisors,
        executor,
        history,
        member,
        keeping: { askInstance: address => this.#askInstance(process, address) },
        state,
        ...(pod && { pod }),
        metrics,
        logger: loggerTo(trace, this.id),
      },
      resources,
    );
    try {
      await node.begin();
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
    const tasks = new Tasks(cluster, history);
    return {
      node,
      process,
      cluster,
      tasks,
      logs,
      taskLogs,
      instance,
      storeLink,
      objectsLink,
      supervisor: () => supervisor,
    };
  }

  /** What a node in a pod of the Deployment has besides. */
  #pod(cluster: Cluster, instance: string, process: Process, chance: SeededChance): PodParts | undefined {
    const { deployment, outside, trace } = this.#world;
    if (!deployment) return undefined;
    const link = new Link(process, outside, chance.fork());
    this.prepareOtherLink(link);
    const api = deployment.apiFor(this.id, link);
    const onNotice = (text: string) => trace.note(this.id, text);
    const marker = new PodMarker({ api, pod: this.id, clock: process, onNotice });
    const { min, max, scaleInAfterMs } = deployment.plan;
    const retirement = new Retirement(cluster, this.id, instance);
    return { marker, scaling: { api, retirement, deployment: 'simple-ci', min, max, scaleInAfterMs } };
  }

  /** Keeps what the list of tasks shows that somebody has left open; it is opened again whenever it ends with a failure. */
  async #lookOn({ tasks, process }: RunningParts): Promise<void> {
    const seen: TaskSummaries = new Map();
    this.#world.feeds.set(this.id, seen);
    for (;;) {
      await this.#follow(tasks, seen).catch(error => {
        if (!isCiError(error)) throw error;
      });
      await process.sleep(1000, neverAborted);
    }
  }

  async #follow(tasks: TasksService, seen: TaskSummaries): Promise<void> {
    for await (const event of tasks.watch(neverAborted)) {
      if (event.kind === 'snapshot') {
        seen.clear();
        for (const task of event.tasks) seen.set(task.id, task);
      } else if (event.kind === 'changed') seen.set(event.task.id, event.task);
      else seen.delete(event.id);
    }
  }

  #openStore(store: Store): Store {
    return this.release === 'next' ? asNextRelease(store) : store;
  }

  #options(retention: NonNullable<NodeOptions['retention']>, chance: SeededChance): NodeOptions {
    return {
      cluster: CLUSTER,
      // Nodes of a cluster on etcd count the demand.
      etcd: { endpoints: ['http://etcd:2379'] },
      dataDir: '',
      listen: { host: '', port: 0 },
      slots: this.slots,
      labels: [],
      isolation: 'none',
      drainTimeoutMs: chance.pick([0, 5000, 60_000]),
      supervisorCommand: [''],
      retention,
      version: this.release,
      onNotice: text => this.#world.trace.note(this.id, text),
      logLevel: 'silent',
    };
  }

  async #askInstance(process: Process, address: string): Promise<string | undefined> {
    await process.sleep(20, neverAborted);
    const other = this.#world.find(address);
    if (other && other.process !== process && other.process.isRunning) return other.instance;
    await process.sleep(2000, neverAborted);
    return undefined;
  }
}

function loggerTo(trace: Trace, node: string): Logger {
  const note = (message: string, fields: Readonly<Record<string, unknown>> = {}) => trace.note(node, message, fields);
  const logger: Logger = { debug: () => undefined, info: note, warn: note, error: note, child: () => logger };
  return logger;
}
