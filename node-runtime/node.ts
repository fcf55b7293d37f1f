import { access, constants, mkdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createClient } from '../shared/client.ts';
import { CiError } from '../shared/errors.ts';
import { type ClusterId, type NodeId, parseNodeId, quote } from '../shared/ids.ts';
import { keyspace } from '../shared/keyspace.ts';
import type { MemberRecord } from '../shared/result.ts';
import { FORMAT_VERSION } from '../shared/task.ts';
import { AccessControl } from './api/access.ts';
import { holdPort } from './api/held-port.ts';
import { startApi } from './api/api-server.ts';
import { createReadFromNode } from './api/read-from-node.ts';
import type { Cluster } from './cluster/cluster.ts';
import { readClusterKey } from './cluster/cluster-key.ts';
import { joinCluster } from './cluster/join-cluster.ts';
import type { AskInstance } from './cluster/membership.ts';
import { readSecrets } from './cluster/secrets.ts';
import { createToken, ensureAdminToken } from './cluster/tokens.ts';
import { LogLag } from './logs/log-lag.ts';
import { createLogs } from './logs/node-logs.ts';
import { createTaskLogs } from './logs/task-logs.ts';
import { DirectoryObjectStore } from './objects/directory-object-store.ts';
import { MeasuredObjectStore } from './objects/measured-object-store.ts';
import type { ObjectStore } from './objects/object-store.ts';
import type { S3Options } from './objects/s3-address.ts';
import type { AddressSigner } from './objects/signed-address.ts';
import type { NodeOptions, RunningNode } from './options.ts';
import type { PodParts } from './pod-life.ts';
import { History } from './queue/history.ts';
import { NodeHealth } from './queue/node-health.ts';
import { readDemand } from './queue/read-demand.ts';
import { Slots } from './queue/slots.ts';
import { Tasks } from './queue/tasks.ts';
import { createPrepareSource } from './runner/prepare-source.ts';
import { startSupervisor } from './runner/supervisor/start-supervisor.ts';
import { SupervisorKeeper } from './runner/supervisor-keeper.ts';
import { TaskExecutor } from './runner/task-executor.ts';
import type { Supervisor } from './runner/sandbox.ts';
import { Node, type NodeState } from './running-node.ts';
import { MeasuredStore } from './store/measured-store.ts';
import type { Store } from './store/store.ts';
import { systemChance } from './system/chance.ts';
import { deadline, neverAborted, systemClock } from './system/clock.ts';
import { createLogger } from './system/logger.ts';
import type { CallObserver } from './system/measure-call.ts';
import { createMetrics } from './system/metrics.ts';
import type { OtlpSinkParts } from './system/otlp-sink.ts';
import type { SpanSink } from './system/span.ts';

/** How long S3 may take to answer for the first time, in milliseconds. */
const S3_START_LIMIT_MS = 10_000;

/**
 * Starts a node: it serves the API and runs tasks until it is drained. The only place where the parts of a node meet. A start
 * that fails rejects with a CiError and leaves nothing behind.
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  await using resources = new AsyncDisposableStack();
  const clock = systemClock;
  const chance = systemChance;
  const nodeId = options.nodeId ?? parseNodeId(hostname());
  const instance = chance.word(16);
  const logger = createLogger({ level: options.logLevel, pretty: process.stderr.isTTY === true });
  const state: NodeState = { session: undefined, isDraining: false, isRetired: false };
  const slots = new Slots(options.slots);
  const health = new NodeHealth(clock);
  const logLag = new LogLag(clock);
  const metrics = createMetrics({
    version: options.version,
    node: nodeId,
    slots,
    leaseAgeMs: () => state.session?.age,
    claimPauseMs: () => health.pauseMs,
    logLagMs: () => logLag.ms,
    demand: () => readPools(entry),
  });
  const resource = { 'service.name': 'simple-ci', 'service.version': options.version, 'service.instance.id': nodeId };
  const traces = options.otlp && resources.use(await openTraces({ ...options.otlp, resource, clock, logger }));
  // Before anything is formed: a start that fails for its port leaves no cluster, and has shown no token.
  const heldPort = resources.use(await holdPort(options.listen));
  await makeDataDir(options.dataDir);
  const supervisors = resources.use(new SupervisorKeeper(() => startOwnSupervisor(options, nodeId, instance), clock));
  // Takes as long as all the rest of the start together, and needs none of it.
  const supervised = options.slots > 0 ? supervisors.begin() : Promise.resolve();
  supervised.catch(() => undefined); // It is awaited below, unless something else fails before.

  const observeStore: CallObserver = (operation, result, seconds) =>
    metrics.storeCalls.observe({ operation, result }, seconds);
  const observeObjects: CallObserver = (operation, result, seconds) =>
    metrics.objectCalls.observe({ operation, result }, seconds);
  const store = resources.use(new MeasuredStore(await openStore(options), { clock, observe: observeStore }));
  const s3 = options.s3 && (await openS3(options.s3, options.cluster));
  if (s3) resources.use(s3);
  const entry = { id: options.cluster, keys: keyspace(options.cluster), store, clock };
  let address = '';
  let signer: AddressSigner | undefined;
  let adminToken: string | undefined;
  const objectsOf = async (): Promise<ObjectStore> => {
    adminToken = await ensureAdminToken(entry, neverAborted);
    // Told at once: nobody could get at the cluster any more if this start failed later on.
    if (adminToken !== undefined) options.onAdminToken?.(adminToken);
    if (s3) return s3;
    const key = await readClusterKey(entry, neverAborted);
    signer = { secret: key.derive('objects'), baseUrl: () => address };
    return new DirectoryObjectStore({ root: join(options.dataDir, 'objects'), clock, chance, signer });
  };
  const { cluster, formed } = await joinCluster(
    options.cluster,
    {
      store,
      objects: async () => new MeasuredObjectStore(await objectsOf(), { clock, observe: observeObjects }),
      clock,
      chance,
    },
    neverAborted,
  );
  if (!s3) resources.use(cluster.objects);
  if (options.etcd && !options.s3) options.onNotice(shareFolder(options.dataDir));
  options.onNotice(formed ? `Formed cluster ${cluster.id}` : `Joined cluster ${cluster.id}`);

  const access = resources.use(await AccessControl.open(cluster, neverAborted));
  const history = new History(cluster);
  const logs = createLogs({
    objects: cluster.objects,
    objectKeys: cluster.objectKeys,
    clock,
    chance,
    lag: logLag,
    ...(options.logFlushMs !== undefined && { flushMs: options.logFlushMs }),
  });
  const readFromNode = createReadFromNode({ token: () => access.issueNodeToken(nodeId) });
  const taskLogs = createTaskLogs({
    cluster,
    logs,
    instance,
    readFromNode,
    history: (id, signal) => history.get(id, signal),
  });
  const api = resources.use(
    await startApi({
      cluster,
      node: nodeId,
      instance,
      version: options.version,
      listen: options.listen,
      heldPort,
      advertise: options.advertise,
      hosts: options.hostNames,
      tasks: new Tasks(cluster, history),
      taskLogs,
      logs,
      access,
      secretsKey: options.secretsKey,
      signedObjects: signer,
      isReady: () =>
        state.session?.maySafelyClaim ? undefined : 'the coordination store has not answered for a while',
      metrics,
      logger,
    }),
  );
  address = api.address;

  await supervised;
  const executor = new TaskExecutor({
    cluster,
    logs,
    supervisor: () => supervisors.current,
    session: () => state.session,
    readSecrets: (names, signal) => readNamedSecrets(cluster, options.secretsKey, names, signal),
    prepareSource: createPrepareSource({ cacheDir: join(options.dataDir, 'cache'), clock }),
  });
  const started = clock.now();
  const member = (): MemberRecord => ({
    v: FORMAT_VERSION,
    node: nodeId,
    instance,
    address,
    slots: options.slots,
    labels: [...options.labels],
    version: options.version,
    started,
    draining: state.isDraining || state.isRetired,
    isolation: supervisors.isolation ?? 'none',
  });
  const node = new Node(
    options,
    {
      cluster,
      nodeId,
      instance,
      localToken: () => readLocalToken(cluster, options.dataDir, adminToken),
      api,
      slots,
      health,
      supervisors,
      executor,
      history,
      member,
      keeping: { askInstance: askInstance(access, nodeId) },
      state,
      ...(options.pod && { pod: await podOf(options.pod, options, cluster, nodeId, instance) }),
      ...(options.taskPods && (await import('./task-pods.ts')).podReaper(options, cluster, instance, logger)),
      metrics,
      logger,
      ...(traces && { traces }),
    },
    resources.move(),
  );
  try {
    await node.begin();
  } catch (error) {
    await node[Symbol.asyncDispose]();
    throw error;
  }
  return node;
}

function shareFolder(folder: string): string {
  return `No --s3 was given: logs, artifacts and workspaces are kept in ${join(folder, 'objects')}, which every node of the cluster must share`;
}

/** The users of tasks must get through it to their own folders; what is not theirs in it is closed to them. */
async function makeDataDir(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o711 });
    for (const name of ['objects', 'cache']) await mkdir(join(dataDir, name), { recursive: true, mode: 0o700 });
    await access(dataDir, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new CiError('invalid', `Cannot start the node as its data folder cannot be written to: ${quote(dataDir)}`, {
      cause: error,
    });
  }
}

/** The heavy clients are loaded only where they are used. */
async function openStore({ etcd, dataDir }: NodeOptions): Promise<Store> {
  if (etcd) {
    const { EtcdStore } = await import('./store/etcd-store.ts');
    return EtcdStore.open(etcd, { clock: systemClock, chance: systemChance }, neverAborted);
  }
  const { EmbeddedStore } = await import('./store/embedded-store.ts');
  return EmbeddedStore.open({ file: join(dataDir, 'store.sqlite'), clock: systemClock });
}

/** Tries it, so that a node whose S3 does not work claims nothing and forms no cluster. */
async function openS3(address: S3Options, cluster: ClusterId): Promise<ObjectStore> {
  const { S3ObjectStore } = await import('./objects/s3-object-store.ts');
  await using opened = new AsyncDisposableStack();
  const objects = opened.use(new S3ObjectStore({ address, clock: systemClock, chance: systemChance }));
  await objects.head(`${cluster}/cluster`, { signal: neverAborted, timeoutMs: S3_START_LIMIT_MS });
  opened.move();
  return objects;
}

/** Nodes that share a data folder have sandboxes of their own: a start sweeps away what an earlier one of its name has left. */
async function startOwnSupervisor(options: NodeOptions, nodeId: NodeId, instance: string): Promise<Supervisor> {
  const { supervisorCommand, dataDir, isolation, onNotice } = options;
  if (options.taskPods)
    return (await import('./task-pods.ts')).startTaskPods(options.taskPods, options, nodeId, instance);
  return startSupervisor({
    command: supervisorCommand,
    root: join(dataDir, 'sandboxes', nodeId),
    isolation,
    clock: systemClock,
    onNotice,
  });
}

async function readNamedSecrets(
  cluster: Cluster,
  key: Buffer | undefined,
  names: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const values = await readSecrets(cluster, key, names, signal);
  const missing = names.filter(name => !values.has(name));
  if (missing.length === 0) return values;
  throw new CiError(
    'invalid',
    `Cannot run the task as it asks for secrets that the cluster does not have: ${missing.join(', ')}`,
  );
}

/** Whose instance answers at an address: a node that lives under our name is a duplicate, one that does not answer has died. */
function askInstance(access: AccessControl, node: NodeId): AskInstance {
  return async (address, signal) => {
    using limit = deadline(systemClock, 2000, signal);
    try {
      const client = createClient({ urls: [address], token: await access.issueNodeToken(node) });
      return (await client.call('cluster', {}, limit.signal)).instance;
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  };
}

/** Loaded where it is asked for: most nodes are in no pod, and send no traces. */
async function openTraces(parts: OtlpSinkParts): Promise<SpanSink> {
  const { OtlpSink } = await import('./system/otlp-sink.ts');
  return new OtlpSink(parts);
}

async function podOf(
  { inCluster, name }: NonNullable<NodeOptions['pod']>,
  { onNotice, scale }: NodeOptions,
  cluster: Cluster,
  node: NodeId,
  instance: string,
): Promise<PodParts> {
  const { KubernetesApi } = await import('./kubernetes/kubernetes-api.ts');
  const { PodMarker } = await import('./kubernetes/pod-marker.ts');
  const { Retirement } = await import('./kubernetes/retirement.ts');
  const api = new KubernetesApi(inCluster, systemClock);
  const marker = new PodMarker({ api, pod: name, clock: systemClock, onNotice });
  return { marker, ...(scale && { scaling: { api, ...scale, retirement: new Retirement(cluster, node, instance) } }) };
}

async function readPools(cluster: Pick<Cluster, 'id' | 'keys' | 'store'>): Promise<Map<string, number>> {
  const { pools } = await readDemand(cluster, neverAborted);
  return new Map(Object.entries(pools).map(([name, { demand }]) => [name, demand]));
}

/** An admin token for this machine's own user, kept in the data folder: who can read that folder can read the store in it. */
async function readLocalToken(cluster: Cluster, dataDir: string, adminToken: string | undefined): Promise<string> {
  const file = join(dataDir, `token-${cluster.epoch}`);
  const kept = await readFile(file, 'utf8').catch(() => undefined);
  if (kept) return kept;
  const token =
    adminToken ??
    (await createToken(cluster, { name: 'local', role: 'admin', createdBy: 'this machine' }, neverAborted)).token;
  await writeFile(file, token, { mode: 0o600 });
  return token;
}
