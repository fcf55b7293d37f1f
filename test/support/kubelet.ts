import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KubeObject, KubernetesServer } from './kubernetes-server.ts';
import { insecurities } from './pod-security.ts';

const checkout = fileURLToPath(new URL('../..', import.meta.url));

/** An image: what it starts, and what it sets. All of them have this machine's programs. */
export interface Image {
  readonly entryPoint?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Why it cannot be pulled. */
  readonly problem?: { readonly reason: string; readonly message: string };
  /** It has no such folder. */
  readonly without?: string;
  /** Files that are empty in it. */
  readonly hides?: readonly string[];
  /** Files of it, by their places, which take the place of those of this machine. */
  readonly files?: Readonly<Record<string, string>>;
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly securityContext?: { readonly readOnlyRootFilesystem?: boolean };
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

interface PodSpec {
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly securityContext?: { readonly runAsUser?: number };
}

/** What happens to pods, in order. */
export interface PodEvent {
  readonly kind: 'created' | 'started' | 'ended' | 'gone';
  readonly pod: string;
  readonly container?: string;
}

/**
 * Runs the pods of a stand-in for Kubernetes: each container as real processes, in namespaces of processes and files of its own,
 * with the pod's volumes at their places. Admits pods by the restricted standard.
 */
export class Kubelet implements AsyncDisposable {
  readonly events: PodEvent[] = [];
  readonly images = new Map<string, Image>();
  /** Pods stay pending for so long as this is true. */
  isFull = false;
  readonly #server: KubernetesServer;
  readonly #folder = mkdtempSync(join(tmpdir(), 'simple-ci-kubelet-'));
  readonly #running = new Map<string, RunningPod>();

  constructor(server: KubernetesServer) {
    this.#server = server;
    server.admit = (resource, { spec }) => {
      if (resource !== 'pods') return undefined;
      const found = insecurities(spec as never, ['task']);
      return found.length === 0 ? undefined : `violates PodSecurity "restricted:latest": ${found.join(', ')}`;
    };
    server.onCreate = (_, pod) => {
      this.events.push({ kind: 'created', pod: pod.metadata.name });
      const running = new RunningPod(pod);
      this.#running.set(pod.metadata.name, running);
      void this.#run(pod, running);
    };
    server.onDelete = (_, pod, grace) => void this.#end(pod, grace);
  }

  /** The names of those that are there. */
  get pods(): string[] {
    return [...this.#running.keys()];
  }

  /** The last pod whose name begins so, once a container of it has been started. */
  started(beginning: string, container: string): string | undefined {
    const isIt = (event: PodEvent) => event.kind === 'started' && event.container === container;
    return this.events.findLast(event => isIt(event) && event.pod.startsWith(beginning))?.pod;
  }

  /** Kills what runs in it, as the kernel and kubelets do, and says so in its status. */
  async fail(name: string, status: object): Promise<void> {
    const pod = this.#running.get(name);
    if (!pod) throw new Error(`There is no pod ${name}`);
    pod.verdict = status;
    pod.kill('SIGKILL');
    await pod.ended;
  }

  /** Where the files of a pod's volume are. */
  volume(name: string, volume: string): string {
    return join(this.#folder, name, volume);
  }

  /** Holds all that runs in a pod where it stands, as a machine does that hangs. */
  pause(name: string): void {
    this.#running.get(name)?.kill('SIGSTOP');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pod of this.#running.values()) pod.kill('SIGKILL');
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #run(pod: KubeObject, running: RunningPod): Promise<void> {
    const { name } = pod.metadata;
    const spec = pod.spec as unknown as PodSpec;
    const tell = (status: object) => this.#server.patch('pods', name, { status });
    try {
      while (this.isFull && !running.isEnding) {
        const message = '0/3 nodes are available: 3 Insufficient cpu.';
        tell({
          phase: 'Pending',
          conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }],
        });
        await new Promise(resolve => setTimeout(resolve, 50));
      }
      const states: { init: object[]; main: object[] } = { init: [], main: [] };
      const phases = [
        ...(spec.initContainers ?? []).map(container => ({ container, list: states.init })),
        ...spec.containers.map(container => ({ container, list: states.main })),
      ];
      for (const { container, list } of phases) {
        if (running.isEnding) return;
        const told = (state: object) => {
          list[0] = { name: container.name, state };
          tell({
            phase: list === states.main ? 'Running' : 'Pending',
            podIP: '127.0.0.1',
            initContainerStatuses: states.init,
            containerStatuses: states.main,
          });
        };
        const problem = this.#pullProblem(container.image);
        if (problem) {
          told({ waiting: problem });
          return await running.told;
        }
        told({ running: {} });
        this.events.push({ kind: 'started', pod: name, container: container.name });
        const { code, words } = await running.start(this.#commandOf(name, container, spec), container);
        this.events.push({ kind: 'ended', pod: name, container: container.name });
        if (running.verdict) {
          tell({ phase: 'Failed', ...running.verdict });
          return;
        }
        const message = code === 0 || code === null ? '' : words;
        told({ terminated: { exitCode: code ?? 137, reason: code === 0 ? 'Completed' : 'Error', message } });
        if (code !== 0) {
          tell({ phase: 'Failed' });
          return;
        }
      }
      tell({ phase: 'Succeeded' });
    } finally {
      running.end();
    }
  }

  async #end(pod: KubeObject, graceSeconds: number): Promise<void> {
    const { name } = pod.metadata;
    const running = this.#running.get(name);
    running?.terminate(graceSeconds);
    await running?.ended;
    this.#running.delete(name);
    this.events.push({ kind: 'gone', pod: name });
    this.#server.delete('pods', name);
    rmSync(join(this.#folder, name), { recursive: true, force: true });
  }

  #pullProblem(image: string): Image['problem'] {
    const found = this.images.get(image);
    if (found) return found.problem;
    return { reason: 'ErrImagePull', message: `failed to resolve reference "${image}": ${image}: not found` };
  }

  #commandOf(pod: string, container: Container, spec: PodSpec): string[] {
    const image = this.images.get(container.image);
    const user = String(spec.securityContext?.runAsUser ?? 0);
    const system = ['/usr', '/bin', '/sbin', '/lib', '/lib64', '/etc'].filter(
      path => existsSync(path) && path !== image?.without,
    );
    const mounts = (container.volumeMounts ?? []).flatMap(({ name, mountPath, readOnly }) => {
      const from = this.volume(pod, name);
      mkdirSync(from, { recursive: true });
      return [readOnly ? '--ro-bind' : '--bind', from, mountPath];
    });
    const env = {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      KUBERNETES_SERVICE_HOST: '10.0.0.1',
      HOSTNAME: pod,
      // As runc sets it for a user that the image does not know.
      HOME: '/',
      ...image?.env,
      ...Object.fromEntries((container.env ?? []).map(({ name, value }) => [name, value])),
    };
    return [
      ...['--unshare-user', '--unshare-pid', '--unshare-ipc', '--as-pid-1', '--die-with-parent', '--new-session'],
      ...['--uid', user, '--gid', user, '--cap-drop', 'ALL', '--clearenv'],
      ...system.flatMap(path => ['--ro-bind', path, path]),
      ...(image?.hides ?? []).flatMap(path => ['--ro-bind', '/dev/null', path]),
      ...Object.entries(image?.files ?? {}).flatMap(([path, file]) => ['--ro-bind', file, path]),
      ...['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--ro-bind', checkout, checkout],
      ...mounts,
      ...(container.securityContext?.readOnlyRootFilesystem ? ['--remount-ro', '/'] : []),
      ...Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value]),
      ...['--chdir', '/', '--', ...(container.command ?? image?.entryPoint ?? []), ...(container.args ?? [])],
    ];
  }
}

/** The processes of one pod. */
class RunningPod {
  readonly #pod: KubeObject;
  readonly #over = Promise.withResolvers<void>();
  readonly #told = Promise.withResolvers<void>();
  #current: ChildProcess | undefined;
  isEnding = false;
  /** What its status says in the end, in place of exit codes. */
  verdict: object | undefined;

  constructor(pod: KubeObject) {
    this.#pod = pod;
  }

  /** Settles when nothing of it runs any more. */
  get ended(): Promise<void> {
    return this.#over.promise;
  }

  /** Settles when it is told to end. */
  get told(): Promise<void> {
    return this.#told.promise;
  }

  start(argv: readonly string[], { name }: Container): Promise<{ code: number | null; words: string }> {
    const child = spawn('bwrap', argv, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#current = child;
    let words = '';
    child.stderr?.on('data', chunk => (words = (words + chunk).slice(-4096)));
    child.on('error', error => {
      throw new Error(`Cannot start container ${name} of ${this.#pod.metadata.name}`, { cause: error });
    });
    return new Promise(resolve => child.once('close', code => resolve({ code, words })));
  }

  /** As a kubelet ends a pod: asks its first process, and kills what is there after the grace. */
  terminate(graceSeconds: number): void {
    this.isEnding = true;
    this.#told.resolve();
    this.#signalInit('SIGTERM');
    setTimeout(() => this.kill('SIGKILL'), graceSeconds * 1000).unref();
  }

  kill(signal: NodeJS.Signals): void {
    if (signal === 'SIGKILL') {
      this.isEnding = true;
      this.#told.resolve();
    }
    // Those below first: one whose parent dies as it starts is not told of it.
    const own = this.#current?.exitCode === null && this.#current.signalCode === null ? [this.#current.pid!] : [];
    for (const pid of [...own.flatMap(descendants), ...(signal === 'SIGKILL' ? own : [])]) send(pid, signal);
  }

  end(): void {
    this.#over.resolve();
  }

  #signalInit(signal: NodeJS.Signals): void {
    const init = childrenOf(this.#current?.pid)[0];
    if (init !== undefined) send(init, signal);
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}

function childrenOf(pid: number | undefined): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function descendants(pid: number | undefined): number[] {
  return childrenOf(pid).flatMap(child => [child, ...descendants(child)]);
}
