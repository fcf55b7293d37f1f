import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { parseClusterId, parseNodeId, quote } from '../../shared/ids.ts';
import { CONTAINER_LABEL } from '../../shared/container-label.ts';
import { Label } from '../../shared/task.ts';
import type { NodeOptions, RunningNode } from '../options.ts';
import type { InCluster } from '../kubernetes/kubernetes-api.ts';
import { readCgroupLimits } from '../system/cgroup-limits.ts';
import { deadline, neverAborted } from '../system/clock.ts';
import { giveBackMemory } from '../system/give-back-memory.ts';
import { bytesOf, QUANTITY } from '../system/quantity.ts';
import type { CliContext } from './context.ts';
import type { Environment } from './environment.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { readInCluster } from './kubernetes-options.ts';
import { isReadableOnTheWay } from './node-address.ts';
import { readSecretsKey } from './secrets-key.ts';
import { readEtcdOptions, readS3Options, type StoreArguments } from './store-options.ts';

/** What `simple-ci node` was told. */
export interface NodeCommandOptions extends StoreArguments {
  readonly cluster: string;
  readonly listen: string;
  readonly advertise: string | undefined;
  readonly 'host-name': readonly string[];
  readonly slots: number | undefined;
  readonly labels: readonly string[];
  readonly 'node-id': string | undefined;
  readonly data: string | undefined;
  readonly 'data-size': string | undefined;
  readonly isolation: NodeOptions['isolation'];
  readonly 'drain-timeout': number;
  readonly 'termination-grace': number | undefined;
  readonly pod: string | undefined;
  readonly 'service-account': string;
  readonly executor: 'process' | 'kubernetes';
  readonly 'pod-listen': string;
  readonly 'pod-template': string | undefined;
  readonly 'scale-deployment': string | undefined;
  readonly 'scale-min': number;
  readonly 'scale-max': number | undefined;
  readonly 'scale-in-after': number;
  readonly attached: boolean;
  readonly 'say-token': boolean;
  readonly 'secrets-key': string | undefined;
  readonly 'log-level': NodeOptions['logLevel'];
  readonly 'log-flush': number;
  readonly otlp: string | undefined;
  readonly json: boolean;
}

/** How long after it is ready a node has done all that starting it brings about, in milliseconds. */
const SETTLED_MS = 5000;

/** Runs a node until it is told to stop and has drained. */
export async function runNode(context: CliContext, options: NodeCommandOptions): Promise<ExitCode> {
  const { interrupts, signal } = context;
  const node = await context.startNode(await nodeOptions(context, options));
  const report = reporter(context, options);
  const stop = (howMany: number) => {
    if (howMany > 1) node.hurry();
    else drain(node, report);
  };
  using _ = interrupts.take(stop, { hangUp: true });
  await announce(node, context, options, report);
  using settling = deadline(context.clock, SETTLED_MS, neverAborted);
  settling.signal.addEventListener('abort', giveBackMemory, { once: true });
  if (signal.aborted) drain(node, report);
  // Nothing to await: when the node has ended, so does the process, whoever holds its input.
  if (options.attached) void drainWithInput(context, node, report);
  await node.ended;
  report('stopped', 'Stopped.');
  return EXIT.passed;
}

type Report = (event: string, text: string, fields?: Record<string, unknown>) => void;

/** Plain lines for people, or one JSON object a line. */
function reporter({ terminal }: CliContext, { json }: NodeCommandOptions): Report {
  return (event, text, fields = {}) => terminal.print(json ? JSON.stringify({ event, text, ...fields }) : text);
}

async function announce(
  node: RunningNode,
  { environment }: CliContext,
  { cluster, attached, 'say-token': saysToken }: NodeCommandOptions,
  report: Report,
): Promise<void> {
  const { address } = node;
  const token = attached || saysToken ? { token: await node.localToken() } : {};
  const login = `${environment.program} login ${address}${isReadableOnTheWay(address) ? ' --insecure-http' : ''}`;
  report('ready', `Ready at ${address}. To use it: ${login}`, { address, cluster, ...token });
}

function drain(node: RunningNode, report: Report): void {
  report('draining', 'Draining: running tasks may finish. Again to hand them back at once.');
  // Its failure is that of `node.ended`, which is awaited.
  node.drain().catch(() => undefined);
}

/** However the program that started it ends, the pipe to it closes: no node is left behind. */
async function drainWithInput({ terminal }: CliContext, node: RunningNode, report: Report): Promise<void> {
  await terminal.readInput(neverAborted).catch(() => undefined);
  drain(node, report);
}

async function nodeOptions(context: CliContext, options: NodeCommandOptions): Promise<NodeOptions> {
  const { environment, version, supervisorCommand } = context;
  const report = reporter(context, options);
  const cluster = parseClusterId(options.cluster);
  const dataDir = options.data === undefined ? defaultDataDir(environment.dataFolder, cluster) : options.data;
  const key = options['secrets-key'];
  const etcd = await readEtcdOptions(context, options);
  const s3 = await readS3Options(options);
  return {
    cluster,
    ...(options['node-id'] !== undefined && { nodeId: parseNodeId(options['node-id']) }),
    ...(etcd && { etcd }),
    ...(s3 && { s3 }),
    dataDir: resolve(environment.folder, dataDir),
    ...dataSizeOf(options),
    listen: parseListen(options.listen),
    ...(options.advertise !== undefined && { advertise: parseAdvertise(options.advertise) }),
    hostNames: options['host-name'].map(parseHostName),
    slots: options.slots ?? (await coresOf()),
    labels: labelsOf(options),
    isolation: options.isolation,
    ...taskPodsOf(environment.folder, options),
    drainTimeoutMs: drainTimeout(options),
    ...(options.pod !== undefined && { pod: { name: options.pod, inCluster: inClusterOf(context, options) } }),
    ...scaleOf(options),
    ...(key !== undefined && { secretsKey: await readSecretsKey(resolve(environment.folder, key)) }),
    supervisorCommand,
    version,
    onNotice: text => report('notice', text),
    onAdminToken: token =>
      report('admin-token', `Admin token of this new cluster, shown this once: ${token}`, { token }),
    logLevel: options['log-level'],
    logFlushMs: options['log-flush'],
    ...readOtlp(options.otlp, environment.variables),
  };
}

/** Of a core that it has only a part of, one task can use it all the same. */
async function coresOf(): Promise<number> {
  const { cpus = Number.POSITIVE_INFINITY } = await readCgroupLimits();
  return Math.max(1, Math.floor(Math.min(cpus, availableParallelism())));
}

/** Handing back and leaving must be done when the process is killed. */
const LEAVE_BEFORE_KILL_MS = 15_000;

function drainTimeout({ 'drain-timeout': wanted, 'termination-grace': grace }: NodeCommandOptions): number {
  return grace === undefined ? wanted : Math.max(0, Math.min(wanted, grace - LEAVE_BEFORE_KILL_MS));
}

function inClusterOf(context: CliContext, options: NodeCommandOptions): InCluster {
  const inCluster = readInCluster(context, options);
  if (inCluster) return inCluster;
  throw new CiError(
    'invalid',
    `Cannot use --pod outside of Kubernetes, as the variable KUBERNETES_SERVICE_HOST is missing: ${quote(options.pod)}`,
  );
}

/** Tasks that name an image ask for its label. */
function labelsOf({ labels, executor }: NodeCommandOptions): string[] {
  const given = labels.flatMap(parseLabels);
  return executor === 'kubernetes' && !given.includes(CONTAINER_LABEL) ? [...given, CONTAINER_LABEL] : given;
}

function taskPodsOf(
  folder: string,
  { executor, pod, 'pod-listen': listen, 'pod-template': template }: NodeCommandOptions,
): Pick<NodeOptions, 'taskPods'> {
  if (executor === 'process') return {};
  if (pod === undefined)
    throw new CiError('invalid', 'Cannot use --executor kubernetes without --pod, the pod that this node runs in');
  return {
    taskPods: {
      listen: parseListen(listen, '--pod-listen'),
      ...(template !== undefined && { template: resolve(folder, template) }),
    },
  };
}

function scaleOf(options: NodeCommandOptions): Pick<NodeOptions, 'scale'> {
  const { 'scale-deployment': deployment, 'scale-min': min, 'scale-max': max, pod, etcd } = options;
  if (deployment === undefined) return {};
  const refuse = (why: string) => new CiError('invalid', `Cannot use --scale-deployment ${why}: ${quote(deployment)}`);
  if (pod === undefined || etcd === undefined || max === undefined)
    throw refuse('without --pod, --etcd and --scale-max');
  if (!/^[a-z0-9][a-z0-9.-]{0,252}$/.test(deployment)) throw refuse('as it is no name of a Deployment');
  if (min > max) throw refuse(`as --scale-min is more than --scale-max, ${min} and ${max}`);
  return { scale: { deployment, min, max, scaleInAfterMs: options['scale-in-after'] } };
}

/** Less than this is a unit forgotten. */
const LEAST_DATA_BYTES = 2 ** 20;

function dataSizeOf({ 'data-size': size }: NodeCommandOptions): Pick<NodeOptions, 'dataBytes'> {
  if (size === undefined) return {};
  const refuse = (why: string) => new CiError('invalid', `Cannot use --data-size as it is ${why}: ${quote(size)}`);
  if (!QUANTITY.test(size)) throw refuse('not like 500Mi, 20Gi or a number of bytes');
  if (bytesOf(size) < LEAST_DATA_BYTES) throw refuse('less than 1Mi');
  return { dataBytes: bytesOf(size) };
}

/** A cluster id may have slashes, but no dots. */
function defaultDataDir(dataFolder: string, cluster: string): string {
  return join(dataFolder, cluster.replaceAll('/', '.'));
}

function parseAdvertise(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return text;
  throw new CiError('invalid', `Cannot use --advertise as it is not like http://host:7100: ${quote(text)}`);
}

/** As it stands in requests: a URL would be one that none ever carries. */
function parseHostName(text: string): string {
  if (/^[^\s/@]+$/.test(text)) return text;
  throw new CiError('invalid', `Cannot use --host-name as it is not like ci.example.com: ${quote(text)}`);
}

/** OpenTelemetry's own variables count too. */
function readOtlp(given: string | undefined, variables: Environment['variables']): Pick<NodeOptions, 'otlp'> {
  const text = given ?? variables.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (!text) return {};
  const url = URL.parse(text);
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw new CiError('invalid', `Cannot send traces as --otlp is not like http://collector:4318: ${quote(text)}`);
  return { otlp: { url: text, headers: parseHeaders(variables.OTEL_EXPORTER_OTLP_HEADERS ?? '') } };
}

/** As OpenTelemetry writes them down: `key=value,key2=value2`, percent-encoded. The values may be secrets: no message has them. */
function parseHeaders(text: string): Record<string, string> {
  const pairs = text.split(',').filter(pair => pair.trim() !== '');
  return Object.fromEntries(
    pairs.map(pair => {
      const at = pair.indexOf('=');
      const name = pair.slice(0, Math.max(0, at)).trim();
      if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
        throw new CiError(
          'invalid',
          'Cannot send traces as $OTEL_EXPORTER_OTLP_HEADERS is not like name=value,name=value',
        );
      return [name, decodeText(pair.slice(at + 1).trim())];
    }),
  );
}

function decodeText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** One that no task could ask for is a slip. */
function parseLabels(list: string): string[] {
  const labels = list.split(',').filter(label => label !== '');
  for (const label of labels) {
    const problem = Label.safeParse(label).error?.issues[0];
    if (problem) throw new CiError('invalid', `Cannot use --labels as a label ${problem.message}: ${quote(label)}`);
  }
  return labels;
}

/** `127.0.0.1:7100`, `[::1]:7100`, `:7100` for every interface, or a port alone for loopback. */
export function parseListen(text: string, option = '--listen'): NodeOptions['listen'] {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]*):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (!match || port > 65_535)
    throw new CiError('invalid', `Cannot use ${option} as it is not like 127.0.0.1:7100: ${quote(text)}`);
  const host = match[1] === undefined ? '127.0.0.1' : match[1] === '' ? '0.0.0.0' : match[1];
  return { host: host.replace(/^\[|\]$/g, ''), port };
}
