import type { TaskView } from '../../shared/api.ts';
import type { TaskResult } from '../../shared/result.ts';
import type { CephS3 } from './ceph-server.ts';
import type { EtcdServer } from './etcd-server.ts';
import {
  type Finished,
  type NodeProcess,
  type RunOptions,
  simpleCi,
  start,
  startNode,
  temporaryFolder,
} from './simple-ci.ts';
import { eventually } from './test-tasks.ts';
import type { ChildProcess } from 'node:child_process';

export interface RealNode extends NodeProcess {
  readonly name: string;
  /** Its data folder: nobody else's. */
  readonly data: string;
}

/** Nodes on a real etcd and a real S3, each with a disk of its own, and a user with a command line. */
export interface RealCluster extends AsyncDisposable {
  readonly id: string;
  readonly token: string;
  readonly nodes: readonly RealNode[];
  add(name: string, ...args: string[]): Promise<RealNode>;
  /** `simple-ci ARGS…` of a user who is logged in as admin, asking the first node unless the options say otherwise. */
  cli(args: readonly string[], options?: CliOptions): Promise<Finished>;
  /** The same, left running. */
  begin(args: readonly string[], options?: CliOptions): Promise<Begun>;
  /** Submits a task.json and tells its id. */
  submit(task: object, options?: CliOptions): Promise<string>;
  view(id: string): Promise<TaskView>;
  running(id: string): Promise<Extract<TaskView, { state: 'running' }>>;
  finished(id: string, limitMs?: number): Promise<TaskResult>;
}

export interface CliOptions extends RunOptions {
  readonly node?: RealNode;
  readonly token?: string;
}

/** A command that runs, and what it has printed so far. */
export interface Begun {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  out(): Buffer;
  err(): string;
}

export interface ClusterPlaces {
  readonly etcd: EtcdServer;
  readonly s3?: Pick<CephS3, 'address' | 'environment'>;
  /** Instead of etcd's own addresses: a proxy before it. */
  readonly endpoints?: readonly string[];
  /** More of the nodes' environment. */
  readonly env?: Readonly<Record<string, string>>;
}

let number = 0;

/** Cluster ids differ, so that many may share one etcd and one bucket. */
export async function realCluster(places: ClusterPlaces, ...names: string[]): Promise<RealCluster> {
  const { etcd, s3, endpoints = etcd.endpoints, env } = places;
  const resources = new AsyncDisposableStack();
  const home = resources.use(await temporaryFolder());
  const id = `acme/ci-${process.pid}-${++number}`;
  const nodes: RealNode[] = [];
  let token = '';

  const add = async (name: string, ...args: string[]): Promise<RealNode> => {
    const data = resources.use(await temporaryFolder()).path;
    const where = ['--cluster', id, '--etcd', endpoints.join(','), ...(s3 ? ['--s3', s3.address] : [])];
    const own = ['--node-id', name, '--data', data, '--slots', '4'];
    const node = resources.use(await startNode([...where, ...own, ...args], { ...s3?.environment, ...env }));
    token = node.adminToken ?? token;
    const added = { ...node, name, data };
    nodes.push(added);
    return added;
  };
  const environment = ({ node = nodes[0], token: own = token, env: more }: CliOptions) => ({
    HOME: home.path,
    SIMPLE_CI_URL: node?.address ?? '',
    SIMPLE_CI_TOKEN: own,
    ...more,
  });
  const cli = (args: readonly string[], options: CliOptions = {}) =>
    simpleCi(args, { cwd: home.path, ...options, env: environment(options) });
  const begin = async (args: readonly string[], options: CliOptions = {}) => {
    const child = await start(args, { cwd: home.path, ...options, env: environment(options) });
    resources.defer(() => void child.kill('SIGKILL'));
    return begun(child, options.input);
  };
  const submit = async (task: object, options: CliOptions = {}) => {
    const input = JSON.stringify({ name: 'test', steps: [{ run: 'true' }], ...task });
    const { code, stdout, stderr } = await cli(['submit', '-'], { ...options, input });
    if (code !== 0) throw new Error(`submit ended with ${code}: ${stderr}`);
    return stdout.trim();
  };
  /** Undefined while the node says that it cannot reach etcd, as it may for a moment after etcd is back. */
  const viewWhenThere = async (task: string): Promise<TaskView | undefined> => {
    const node = nodes.findLast(({ process: { exitCode, signalCode } }) => exitCode === null && signalCode === null);
    if (!node) throw new Error(`No node lives: ${nodes.map(({ output }) => output()).join('\n')}`);
    const url = `${node.address}/v1/tasks/${task}`;
    const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } }).catch(error => {
      throw new Error(`${url} did not answer, exit code ${node.process.exitCode}: ${node.output()}`, { cause: error });
    });
    const text = await answer.text();
    if (answer.status === 503) return undefined;
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${text}`);
    return JSON.parse(text) as TaskView;
  };
  const view = (task: string) => eventually(`task ${task} can be looked at`, () => viewWhenThere(task));
  const running = (task: string) =>
    eventually(`task ${task} runs`, async () => {
      const it = await viewWhenThere(task);
      if (it?.state === 'finished') throw new Error(`It has ended: ${JSON.stringify(it.result)}`);
      return it?.state === 'running' ? it : undefined;
    });
  const finished = (task: string, limitMs = 60_000) =>
    eventually(
      `task ${task} is finished`,
      async () => {
        const it = await viewWhenThere(task);
        return it?.state === 'finished' ? it.result : undefined;
      },
      limitMs,
    );
  try {
    for (const name of names) await add(name);
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
  return {
    id,
    nodes,
    get token() {
      return token;
    },
    add,
    cli,
    begin,
    submit,
    view,
    running,
    finished,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function begun(child: ChildProcess, input: string | Buffer = ''): Begun {
  const out: Buffer[] = [];
  let err = '';
  child.stdout?.on('data', chunk => out.push(chunk));
  child.stderr?.on('data', chunk => {
    err += chunk;
  });
  child.stdin?.on('error', () => undefined).end(input);
  const ended = new Promise<number | null>(resolve => child.once('close', code => resolve(code)));
  return { child, ended, out: () => Buffer.concat(out), err: () => err };
}
