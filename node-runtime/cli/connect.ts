import { hostname } from 'node:os';
import { createClient, type Client } from '../../shared/client.ts';
import { CiError, isCiError } from '../../shared/errors.ts';
import { parseClusterId, parseNodeId, type TaskId } from '../../shared/ids.ts';
import type { LogLevel } from '../system/logger.ts';
import { cancelAbandoned, nameOfEmbeddedNode } from './cancel-abandoned.ts';
import type { ConnectionOptions } from './common-options.ts';
import type { CliContext } from './context.ts';
import { activeLogin, readLogins } from './logins.ts';
import { addressesToTrust, checkAddress } from './node-address.ts';

/** A way to a cluster, for the time of one command. */
export interface Connection extends AsyncDisposable {
  readonly client: Client;
  /** Whether the cluster is an embedded node that ends with this command. */
  readonly isEmbedded: boolean;
  /** Learns where the other nodes are, for when the one that is asked dies. Comfort: a failure leaves what was known. */
  learnNodes(signal: AbortSignal): Promise<void>;
  /** How to go on with another command on the same cluster: a line to type. */
  hint(words: string): string;
}

/** What an embedded node does besides answering. */
export interface EmbeddedWork {
  readonly slots: number;
  readonly labels: readonly string[];
  readonly accepts: (id: TaskId) => boolean;
}

const NO_WORK: EmbeddedWork = { slots: 0, labels: [], accepts: () => false };

/** The cluster of `--url`, else that of the active login, else an embedded node on this machine's data folder. */
export async function connect(
  context: CliContext,
  options: ConnectionOptions,
  work: EmbeddedWork = NO_WORK,
): Promise<Connection> {
  const address = await findAddress(context, options);
  if (!address) return connectEmbedded(context, options, work);
  for (const url of address.urls) checkAddress(url, address.allowsHttp);
  const client = createClient({ urls: address.urls, token: address.token });
  return {
    client,
    isEmbedded: false,
    learnNodes: signal => learnNodes(client, address.urls, address.allowsHttp, signal),
    hint: words => `${context.environment.program} ${words}${hintOptions({ url: address.given })}`,
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

async function learnNodes(
  client: Client,
  given: readonly string[],
  allowsHttp: boolean,
  signal: AbortSignal,
): Promise<void> {
  try {
    const { nodes } = await client.call('listNodes', {}, signal);
    const told = nodes.map(({ address }) => address);
    client.addNodes(addressesToTrust(told, given, allowsHttp));
  } catch (error) {
    if (!isCiError(error)) throw error;
  }
}

interface Address {
  readonly urls: readonly string[];
  readonly token: string;
  /** The addresses that have to be given again next time. */
  readonly given: readonly string[];
  /** Whether the token may go there over plain http. */
  readonly allowsHttp: boolean;
}

async function findAddress({ environment }: CliContext, options: ConnectionOptions): Promise<Address | undefined> {
  if (options.url.length === 0 && options.data !== undefined) return undefined;
  const logins = await readLogins(environment.configFolder);
  const allowsHttp = options['insecure-http'];
  if (options.url.length === 0) {
    const login = activeLogin(logins);
    if (!login) return undefined;
    const { urls, insecureHttp = false } = login;
    return { urls, token: options.token ?? login.token, given: [], allowsHttp: allowsHttp || insecureHttp };
  }
  const known = logins.clusters.find(login => options.url.some(url => login.urls.includes(url)));
  const token = options.token ?? known?.token;
  if (token !== undefined) return { urls: options.url, token, given: options.url, allowsHttp };
  throw new CiError(
    'unauthenticated',
    `Cannot ask ${options.url[0]} without a token: set SIMPLE_CI_TOKEN, or run \`${environment.program} login ${options.url[0]}\``,
  );
}

async function connectEmbedded(
  context: CliContext,
  { data }: ConnectionOptions,
  { slots, labels, accepts }: EmbeddedWork,
): Promise<Connection> {
  const { environment, chance } = context;
  const { resolve, join } = await import('node:path');
  const { ownSecretsKey } = await import('./secrets-key.ts');
  const dataDir = data === undefined ? join(environment.dataFolder, 'local') : resolve(environment.folder, data);
  await using started = new AsyncDisposableStack();
  const node = started.use(
    await context.startNode({
      cluster: parseClusterId('local'),
      nodeId: parseNodeId(nameOfEmbeddedNode(chance.word(8))),
      dataDir,
      // The name of such a node is used once: nobody would clear away what it leaves when it is killed.
      sandboxFolder: hostname(),
      secretsKey: await ownSecretsKey(join(dataDir, 'secrets-key')),
      listen: { host: '127.0.0.1', port: 0 },
      slots,
      labels,
      accepts,
      isolation: 'none',
      drainTimeoutMs: 0,
      supervisorCommand: context.supervisorCommand,
      version: context.version,
      onNotice: () => undefined,
      logLevel: (environment.variables.SIMPLE_CI_LOG_LEVEL as LogLevel | undefined) ?? 'silent',
    }),
  );
  const client = started.use(createClient({ urls: [node.address], token: await node.localToken() }));
  await cancelAbandoned(client, context.signal);
  const owned = started.move();
  return {
    client,
    isEmbedded: true,
    learnNodes: async () => undefined,
    hint: words => `${environment.program} ${words}${hintOptions({ data })}`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function hintOptions({ url = [], data }: { url?: readonly string[]; data?: string | undefined }): string {
  const words = [...url.map(one => `--url ${one}`), ...(data === undefined ? [] : [`--data ${data}`])];
  return words.map(word => ` ${word}`).join('');
}
