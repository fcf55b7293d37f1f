import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { parseClusterId, parseNodeId, quote } from '../../shared/ids.ts';
import type { NodeOptions, RunningNode } from '../options.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { readSecretsKey } from './secrets-key.ts';

/** What `simple-ci node` was told. */
export interface NodeCommandOptions {
  readonly cluster: string;
  readonly etcd: string | undefined;
  readonly 'etcd-ca': string | undefined;
  readonly 'etcd-cert': string | undefined;
  readonly 'etcd-key': string | undefined;
  readonly 'etcd-user': string | undefined;
  readonly 'etcd-password-file': string | undefined;
  readonly s3: string | undefined;
  readonly listen: string;
  readonly advertise: string | undefined;
  readonly 'host-name': readonly string[];
  readonly slots: number | undefined;
  readonly labels: readonly string[];
  readonly 'node-id': string | undefined;
  readonly data: string | undefined;
  readonly isolation: NodeOptions['isolation'];
  readonly 'drain-timeout': number;
  readonly 'secrets-key': string | undefined;
  readonly 'log-level': NodeOptions['logLevel'];
  readonly json: boolean;
}

/** Runs a node until it is told to stop and has drained. */
export async function runNode(context: CliContext, options: NodeCommandOptions): Promise<ExitCode> {
  const { interrupts, signal } = context;
  const node = await context.startNode(await nodeOptions(context, options));
  const report = reporter(context, options);
  using _ = interrupts.take(howMany => {
    if (howMany > 1) node.hurry();
    else drain(node, report);
  });
  if (signal.aborted) drain(node, report);
  announce(node, options, report);
  await node.ended;
  report('stopped', 'Stopped.');
  return EXIT.passed;
}

type Report = (event: string, text: string, fields?: Record<string, unknown>) => void;

/** Plain lines for people, or one JSON object a line. */
function reporter({ terminal }: CliContext, { json }: NodeCommandOptions): Report {
  return (event, text, fields = {}) => terminal.print(json ? JSON.stringify({ event, text, ...fields }) : text);
}

function announce(node: RunningNode, options: NodeCommandOptions, report: Report): void {
  const { address, adminToken } = node;
  const { cluster } = options;
  if (adminToken !== undefined) {
    const text = `Admin token of this new cluster, shown this once: ${adminToken}`;
    report('admin-token', text, { token: adminToken });
  }
  report('ready', `Ready at ${address}. To use it: simple-ci login ${address}`, { address, cluster });
}

function drain(node: RunningNode, report: Report): void {
  report('draining', 'Draining: running tasks may finish. Again to hand them back at once.');
  // Its failure is that of `node.ended`, which is awaited.
  node.drain().catch(() => undefined);
}

async function nodeOptions(context: CliContext, options: NodeCommandOptions): Promise<NodeOptions> {
  const { environment, version, supervisorCommand } = context;
  const report = reporter(context, options);
  const cluster = parseClusterId(options.cluster);
  const dataDir = options.data === undefined ? defaultDataDir(environment.dataFolder, cluster) : options.data;
  const key = options['secrets-key'];
  return {
    cluster,
    ...(options['node-id'] !== undefined && { nodeId: parseNodeId(options['node-id']) }),
    ...(options.etcd !== undefined && { etcd: await etcdOptions(context, options, options.etcd) }),
    ...(options.s3 !== undefined && { s3: await s3Options(options.s3) }),
    dataDir: resolve(environment.folder, dataDir),
    listen: parseListen(options.listen),
    ...(options.advertise !== undefined && { advertise: options.advertise }),
    hostNames: options['host-name'],
    slots: options.slots ?? availableParallelism(),
    labels: options.labels.flatMap(label => label.split(',')).filter(label => label !== ''),
    isolation: options.isolation,
    drainTimeoutMs: options['drain-timeout'],
    ...(key !== undefined && { secretsKey: await readSecretsKey(resolve(environment.folder, key)) }),
    supervisorCommand,
    version,
    onNotice: text => report('notice', text),
    logLevel: options['log-level'],
  };
}

/** A cluster id may have slashes, but no dots. */
function defaultDataDir(dataFolder: string, cluster: string): string {
  return join(dataFolder, cluster.replaceAll('/', '.'));
}

/** `127.0.0.1:7100`, `[::1]:7100`, `:7100` for every interface, or a port alone for loopback. */
export function parseListen(text: string): NodeOptions['listen'] {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]*):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (!match || port > 65_535)
    throw new CiError('invalid', `Cannot use --listen as it is not like 127.0.0.1:7100: ${quote(text)}`);
  const host = match[1] === undefined ? '127.0.0.1' : match[1] === '' ? '0.0.0.0' : match[1];
  return { host: host.replace(/^\[|\]$/g, ''), port };
}

export interface EtcdArguments {
  readonly 'etcd-ca': string | undefined;
  readonly 'etcd-cert': string | undefined;
  readonly 'etcd-key': string | undefined;
  readonly 'etcd-user': string | undefined;
  readonly 'etcd-password-file': string | undefined;
}

export async function etcdOptions(
  { environment }: CliContext,
  options: EtcdArguments,
  addresses: string,
): Promise<NonNullable<NodeOptions['etcd']>> {
  const { parseEtcdOptions } = await import('../store/etcd-options.ts');
  const passwordFile = options['etcd-password-file'];
  const password =
    passwordFile === undefined
      ? environment.variables.SIMPLE_CI_ETCD_PASSWORD
      : (await readText(resolve(environment.folder, passwordFile), 'the password of etcd')).replace(/\r?\n$/, '');
  const file = (name: 'etcd-ca' | 'etcd-cert' | 'etcd-key') => {
    const path = options[name];
    return path === undefined ? undefined : resolve(environment.folder, path);
  };
  const credentials = {
    ca: file('etcd-ca'),
    cert: file('etcd-cert'),
    key: file('etcd-key'),
    user: options['etcd-user'],
    password,
  };
  const given = Object.entries(credentials).filter(([, value]) => value !== undefined);
  return parseEtcdOptions(addresses, Object.fromEntries(given));
}

export async function s3Options(address: string): Promise<NonNullable<NodeOptions['s3']>> {
  const { parseS3Address } = await import('../objects/s3-address.ts');
  return parseS3Address(address);
}

async function readText(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CiError('invalid', `Cannot read ${what} as its file cannot be opened: ${file}`, { cause: error });
  }
}
