import type { KubeObject, KubernetesServer } from './kubernetes-server.ts';
import { type NodeProcess, startNode } from './simple-ci.ts';

export interface DeploymentOptions {
  readonly kubernetes: KubernetesServer;
  readonly name: string;
  readonly replicas: number;
  /** `simple-ci node …` of a pod. */
  readonly args: (pod: string) => readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** From SIGTERM to SIGKILL. */
  readonly graceMs: number;
  /** The nodes, by their pods, that run a task at this moment. */
  readonly busy: () => Promise<ReadonlySet<string>>;
}

interface Pod {
  readonly name: string;
  readonly number: number;
  readonly starting: Promise<NodeProcess>;
  node: NodeProcess | undefined;
}

/** What became of a pod that was taken away. */
export interface Removal {
  readonly pod: string;
  /** It ran a task when it was told to stop. */
  readonly wasBusy: boolean;
  /** Its grace had passed. */
  wasKilled: boolean;
}

/**
 * A Deployment whose pods are real processes on this machine: what the controllers of Kubernetes and the kubelet do with its
 * number of replicas. Of pods that are too many, those go first that ReplicaSets take first: not yet up, then those with the
 * lower deletion cost, then the younger ones.
 */
export class Deployment implements AsyncDisposable {
  readonly removals: Removal[] = [];
  /** The most pods there were at once, without those that are ending. */
  most = 0;
  readonly #options: DeploymentOptions;
  readonly #pods = new Map<string, Pod>();
  readonly #ending = new Set<Promise<void>>();
  #number = 0;
  #isEnding = false;
  #work: Promise<void> = Promise.resolve();
  #failure: unknown;

  constructor(options: DeploymentOptions) {
    this.#options = options;
    const { kubernetes, name, replicas } = options;
    kubernetes.put('deployments', name, { spec: { replicas }, status: { replicas: 0 } });
    kubernetes.onChange = path => {
      if (path === `deployments/${name}`) this.#reconcile();
    };
    this.#reconcile();
  }

  get pods(): readonly string[] {
    return [...this.#pods.keys()];
  }

  get nodes(): readonly NodeProcess[] {
    return [...this.#pods.values()].flatMap(({ node }) => node ?? []);
  }

  /** All pods that there are to be have come up. */
  async ready(): Promise<void> {
    await this.#work;
    await Promise.all([...this.#pods.values()].map(({ starting }) => starting));
    this.#throwFailure();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    await this.#work;
    const all = [...this.#pods.values()].map(async ({ starting }) => (await starting)[Symbol.asyncDispose]());
    await Promise.allSettled([...all, ...this.#ending]);
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure;
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
  }

  /** One change after the other. */
  #reconcile(): void {
    this.#work = this.#work.then(() => this.#adapt()).catch(error => this.#fail(error));
  }

  async #adapt(): Promise<void> {
    if (this.#isEnding) return;
    const { kubernetes, name, busy } = this.#options;
    const { replicas } = kubernetes.get('deployments', name)!.spec as { replicas: number };
    while (this.#pods.size < replicas) this.#add();
    if (this.#pods.size > replicas) {
      const busyNow = await busy();
      for (const pod of this.#victims().slice(0, this.#pods.size - replicas)) this.#remove(pod, busyNow.has(pod.name));
    }
    this.most = Math.max(this.most, this.#pods.size);
    const { status } = kubernetes.get('deployments', name) as KubeObject & { status: { replicas: number } };
    status.replicas = this.#pods.size;
  }

  #add(): void {
    const { kubernetes, name, args, env } = this.#options;
    const pod = `${name}-${++this.#number}`;
    kubernetes.put('pods', pod, {});
    const starting = startNode(args(pod), env);
    const made: Pod = { name: pod, number: this.#number, starting, node: undefined };
    this.#pods.set(pod, made);
    starting.then(
      node => {
        made.node = node;
      },
      error => this.#fail(error),
    );
  }

  #victims(): Pod[] {
    const { kubernetes } = this.#options;
    const costOf = ({ name }: Pod) =>
      Number(kubernetes.get('pods', name)?.metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? 0);
    const isUp = ({ node }: Pod) => Number(node !== undefined);
    return [...this.#pods.values()].sort((a, b) => isUp(a) - isUp(b) || costOf(a) - costOf(b) || b.number - a.number);
  }

  #remove(pod: Pod, wasBusy: boolean): void {
    this.#pods.delete(pod.name);
    const removal: Removal = { pod: pod.name, wasBusy, wasKilled: false };
    this.removals.push(removal);
    const ending = this.#end(pod, removal).finally(() => this.#ending.delete(ending));
    ending.catch(error => this.#fail(error));
    this.#ending.add(ending);
  }

  async #end({ name, starting }: Pod, removal: Removal): Promise<void> {
    const node = await starting;
    node.process.kill('SIGTERM');
    const grace = setTimeout(() => {
      removal.wasKilled = true;
      node.process.kill('SIGKILL');
    }, this.#options.graceMs);
    await node.ended;
    clearTimeout(grace);
    await node[Symbol.asyncDispose]();
    this.#options.kubernetes.delete('pods', name);
  }
}
