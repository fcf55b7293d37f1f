import { CiError } from '../../shared/errors.ts';
import type { NodeId, TaskId } from '../../shared/ids.ts';
import { type Keyspace, parseTasksKey } from '../../shared/keyspace.ts';
import type { LockRecord } from '../../shared/result.ts';
import type { PostRecord } from '../../node-runtime/cluster/posts.ts';
import type { KubernetesApi, KubernetesCall } from '../../node-runtime/kubernetes/kubernetes-api.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { carryOver } from './carry-over.ts';
import type { DemandTruth } from './demand-truth.ts';
import type { Process } from './machine.ts';
import type { ModelEtcd } from './model-etcd.ts';
import type { Link } from './network.ts';
import type { ScalingPlan } from './plan.ts';
import type { SeededChance } from './seeded-chance.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Trace } from './trace.ts';
import type { Violation } from './violation.ts';

/** From SIGTERM to SIGKILL. */
const GRACE_MS = 120_000;
/**
 * What was asked for so long without a break, every scaler has seen: one that is cut off or stands still has lost its post before.
 */
const SEEN_AFTER_MS = 75_000;

export interface DeploymentParts {
  readonly plan: ScalingPlan;
  readonly nodes: () => readonly SimulatedNode[];
  readonly keys: Keyspace;
  readonly etcd: ModelEtcd;
  readonly demand: DemandTruth;
  readonly outside: Process;
  readonly chance: SeededChance;
  readonly trace: Trace;
  readonly isCalm: () => boolean;
  readonly onViolation: (violation: Violation) => void;
}

/**
 * A Deployment whose pods are the nodes, as Kubernetes keeps it: with a number of replicas that is changed under the version that was read,
 * and a controller that takes away those first that are not up, then those that cost least, then the youngest. It checks every change.
 */
export class ModelDeployment {
  replicas: number;
  /** Happens to the next node that changes the number, at the moment at which it does so. */
  ambush: ((node: NodeId, depart: () => void) => void) | undefined;
  #version = 1;
  readonly #parts: DeploymentParts;
  readonly #costs = new Map<NodeId, number>();
  /** Which version each node was answered last. */
  readonly #read = new Map<NodeId, number>();
  #reconciling: Promise<void> = Promise.resolve();

  constructor(parts: DeploymentParts) {
    this.#parts = parts;
    this.replicas = parts.plan.replicas;
  }

  get plan(): ScalingPlan {
    return this.#parts.plan;
  }

  /** The pods that there are from the beginning. */
  start(): void {
    for (const node of this.#parts.nodes().slice(0, this.replicas)) node.start();
  }

  /** Its pods and their number, as one node sees them from its pod. */
  apiFor(node: NodeId, link: Link): Pick<KubernetesApi, 'namespace' | 'get' | 'patch'> {
    const carry = carryOver(link, 'Kubernetes');
    return {
      namespace: async () => 'ci',
      get: (path, { signal }: KubernetesCall) => carry('get', path, () => this.#answer(node), signal),
      patch: async (path, patch, { signal }: KubernetesCall) => {
        if (!path.endsWith('/scale')) return carry('put', path, () => this.#mark(node, patch), signal);
        await this.#ambushed(node);
        return carry('put', path, () => this.#scale(node, patch), signal);
      },
    };
  }

  /** Whoever is lain in wait for is struck before its patch leaves. */
  #ambushed(node: NodeId): Promise<void> | undefined {
    const { ambush } = this;
    this.ambush = undefined;
    return ambush && new Promise(resolve => ambush(node, resolve));
  }

  #answer(node: NodeId): object {
    this.#read.set(node, this.#version);
    return { metadata: { resourceVersion: String(this.#version) }, spec: { replicas: this.replicas } };
  }

  #mark(node: NodeId, patch: object): void {
    const { metadata } = patch as { metadata: { annotations: Record<string, string> } };
    this.#costs.set(node, Number(metadata.annotations['controller.kubernetes.io/pod-deletion-cost']));
  }

  #scale(node: NodeId, patch: object): void {
    const { metadata, spec } = patch as { metadata?: { resourceVersion?: string }; spec: { replicas: number } };
    const read = metadata?.resourceVersion;
    if (read !== undefined && read !== String(this.#version))
      throw new CiError('conflict', `Cannot patch as the version is ${this.#version}, not ${read}`);
    this.#check(node, spec.replicas);
    this.#parts.trace.note(node, `sets the number of pods from ${this.replicas} to ${spec.replicas}`);
    this.replicas = spec.replicas;
    this.#version++;
    this.#reconcileSoon();
  }

  #check(node: NodeId, replicas: number): void {
    const { plan, demand, etcd, keys, isCalm } = this.#parts;
    const violated = (text: string) =>
      this.#parts.onViolation({
        invariant: 'I15',
        task: undefined,
        text: `${node}, which sets ${replicas} pods, ${text}`,
      });
    if (replicas < plan.min || replicas > plan.max) violated(`may only set ${plan.min} to ${plan.max}`);
    if (this.#read.get(node) !== this.#version) violated('has not read what another has set meanwhile');
    const asked = demand.sustained(SEEN_AFTER_MS, plan.scaleInAfterMs);
    const least = Math.min(plan.max, Math.ceil(asked / plan.slots));
    if (replicas < this.replicas && replicas < least)
      violated(
        `takes some away though ${asked} slots were asked for, for more than a minute of the last ${plan.scaleInAfterMs / 1000} s`,
      );
    const post = etcd.get(keys.post('scale.default'));
    const holder = post && (JSON.parse(post.value) as PostRecord).node;
    if (isCalm() && holder !== node) violated(`has not the post, which ${holder ?? 'nobody'} has`);
  }

  #reconcileSoon(): void {
    const { outside, chance } = this.#parts;
    this.#reconciling = this.#reconciling
      .then(() => outside.sleep(chance.between(200, 3000), neverAborted))
      .then(() => this.#reconcile());
  }

  #reconcile(): void {
    const nodes = this.#parts.nodes();
    const missing = this.replicas - nodes.filter(({ isWanted }) => isWanted).length;
    for (const node of nodes.filter(({ isWanted }) => !isWanted).slice(0, Math.max(0, missing))) {
      this.#costs.delete(node.id);
      node.start();
    }
    for (const node of this.#victims().slice(0, Math.max(0, -missing))) this.#takeAway(node);
  }

  #victims(): SimulatedNode[] {
    const costOf = ({ id }: SimulatedNode) => this.#costs.get(id) ?? 0;
    const isUp = ({ up }: SimulatedNode) => Number(up !== undefined);
    const wanted = this.#parts.nodes().filter(({ isWanted }) => isWanted);
    return wanted.sort((a, b) => isUp(a) - isUp(b) || costOf(a) - costOf(b) || b.startedAt - a.startedAt);
  }

  #taskOf({ up }: SimulatedNode): TaskId | undefined {
    const { etcd, keys } = this.#parts;
    for (const { key, value } of etcd.all(keys.tasks)) {
      const parsed = parseTasksKey(keys, key);
      if (parsed?.kind === 'lock' && (JSON.parse(value) as LockRecord).instance === up?.instance) return parsed.id;
    }
    return undefined;
  }

  #takeAway(node: SimulatedNode): void {
    const { outside, trace, isCalm, onViolation } = this.#parts;
    trace.note(node.id, 'is taken away');
    const task = isCalm() ? this.#taskOf(node) : undefined;
    if (task !== undefined)
      onViolation({ invariant: 'I15', task, text: `${node.id} is taken away while it runs task ${task}` });
    node.stopWanting();
    if (node.up) node.drain();
    else node.crash();
    void outside.sleep(GRACE_MS, neverAborted).then(() => {
      if (!node.isWanted) node.crash();
    });
  }
}
