import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AccessControl } from '../../node-runtime/api/access.ts';
import { type ApiOptions, type ApiServer, startApi } from '../../node-runtime/api/api-server.ts';
import { readClusterKey } from '../../node-runtime/cluster/cluster-key.ts';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { createToken, ensureAdminToken } from '../../node-runtime/cluster/tokens.ts';
import { DirectoryObjectStore } from '../../node-runtime/objects/directory-object-store.ts';
import { History } from '../../node-runtime/queue/history.ts';
import { Tasks } from '../../node-runtime/queue/tasks.ts';
import type { Store } from '../../node-runtime/store/store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { type Clock, neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { createLogger } from '../../node-runtime/system/logger.ts';
import { createMetrics } from '../../node-runtime/system/metrics.ts';
import type { Role } from '../../shared/api.ts';
import { type Client, createClient } from '../../shared/client.ts';
import { parseNodeId } from '../../shared/ids.ts';
import { ScriptedLogs } from './scripted-logs.ts';
import { testCluster } from './test-cluster.ts';

export interface TestApi extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly access: AccessControl;
  /** The token that the first start made. */
  readonly adminToken: string;
  readonly server: ApiServer;
  readonly url: string;
  readonly logs: ScriptedLogs;
  /** What the node wrote into its own log, a parsed line each. */
  readonly lines: Record<string, unknown>[];
  readonly metrics: ApiOptions['metrics'];
  /** A new token of that role. */
  token(role: Role, expires?: number): Promise<string>;
  /** A client with a new token of that role; it is closed with the test. */
  client(role: Role, urls?: readonly string[]): Promise<Client>;
  /** One more node of the same cluster. */
  startAnother(options?: Partial<ApiOptions>): Promise<ApiServer>;
}

/** A node's API over real HTTP and WebSockets, on an embedded store and a directory, with logs that the test writes. */
export async function testApi(
  options: { clock?: Clock; store?: Store; api?: Partial<ApiOptions> } = {},
): Promise<TestApi> {
  await using started = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'simple-ci-api-'));
  started.defer(() => rm(root, { recursive: true, force: true }));
  const clock = options.clock ?? systemClock;
  const plain = started.use(await testCluster({ clock, ...(options.store && { store: options.store }) }));
  const adminToken = await ensureAdminToken(plain, neverAborted);
  if (!adminToken) throw new Error('The first start made no admin token');
  let url = '';
  const signedObjects = { secret: (await readClusterKey(plain, neverAborted)).derive('objects'), baseUrl: () => url };
  const objects = new DirectoryObjectStore({ root, clock, chance: systemChance, signer: signedObjects });
  const cluster: Cluster = { ...plain, objects };
  const logs = new ScriptedLogs();
  const lines: Record<string, unknown>[] = [];
  const startNode = async (name: string, changes: Partial<ApiOptions> = {}) => {
    const access = await AccessControl.open(cluster, neverAborted);
    const metrics = createMetrics({
      node: name,
      version: '0.0.0',
      slots: { total: 2, used: 0 },
      leaseAgeMs: () => 1000,
      claimPauseMs: () => 0,
      logLagMs: () => 0,
      demand: async () => new Map(),
    });
    const server = await startApi({
      cluster,
      node: parseNodeId(name),
      instance: `${name}-instance`,
      version: '0.0.0',
      listen: { host: '127.0.0.1', port: 0 },
      tasks: new Tasks(cluster, new History(cluster)),
      taskLogs: logs,
      logs,
      access,
      signedObjects,
      isReady: () => undefined,
      metrics,
      logger: createLogger({ level: 'debug', write: line => lines.push(JSON.parse(line)) }),
      ...changes,
    });
    return { access, metrics, server };
  };
  const node = await startNode('n1', options.api);
  started.use(node.access);
  started.use(node.server);
  url = node.server.address;
  const token = async (role: Role, expires?: number) => {
    const wanted = { name: `a ${role}`, role, createdBy: 'test', ...(expires !== undefined && { expires }) };
    return (await createToken(cluster, wanted, neverAborted)).token;
  };
  let others = 1;
  const owned = started.move();
  return {
    ...node,
    cluster,
    adminToken,
    url,
    logs,
    lines,
    token,
    client: async (role, urls = [url]) => owned.use(createClient({ urls, token: await token(role) })),
    startAnother: async changes => {
      const other = await startNode(`n${++others}`, changes);
      owned.use(other.access);
      return owned.use(other.server);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What a route answers, as it stands on the wire. */
export async function ask(
  url: string,
  options: { method?: string; token?: string; body?: string; headers?: Record<string, string> } = {},
): Promise<{
  status: number;
  headers: Headers;
  json: { error?: { code: string; message: string; requestId: string } };
}> {
  const { method = 'GET', token, body, headers = {} } = options;
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') ?? false;
  return { status: response.status, headers: response.headers, json: isJson ? JSON.parse(text) : {} };
}
