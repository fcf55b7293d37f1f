import { hostname } from 'node:os';
import { join } from 'node:path';
import { type NodeId, parseNodeId } from '../shared/ids.ts';
import type { MemberRecord } from '../shared/result.ts';
import { FORMAT_VERSION } from '../shared/task.ts';
import { AccessControl } from './api/access.ts';
import { createAskInstance } from './api/ask-instance.ts';
import { holdPort } from './api/held-port.ts';
import { createReadFromNode } from './api/read-from-node.ts';
import type { Cluster } from './cluster/cluster.ts';
import { readLocalToken } from './cluster/local-token.ts';
import { readAllSecrets } from './cluster/secrets.ts';
import { enterCluster } from './enter-cluster.ts';
import { LogLag } from './logs/log-lag.ts';
import { createLogs } from './logs/node-logs.ts';
import { createTaskLogs } from './logs/task-logs.ts';
import { makeDataFolder } from './make-data-folder.ts';
import type { NodeOptions, RunningNode } from './options.ts';
import type { PodParts } from './pod-life.ts';
import { History } from './queue/history.ts';
import { NodeHealth } from './queue/node-health.ts';
import { readDemand } from './queue/read-demand.ts';
import { Slots } from './queue/slots.ts';
import { Tasks } from './queue/tasks.ts';
import { createPrepareSource, type SourceOptions } from './runner/prepare-source.ts';
import { SupervisorKeeper } from './runner/supervisor-keeper.ts';
import { startSupervisor } from './runner/supervisor/start-supervisor.ts';
import { TaskExecutor } from './runner/task-executor.ts';
import type { Supervisor } from './runner/sandbox.ts';
import { Node, type NodeState } from './running-node.ts';
import { systemChance } from './system/chance.ts';
import { neverAborted, systemClock } from './system/clock.ts';
import { createLogger } from './system/logger.ts';
import { createMetrics } from './system/metrics.ts';
import type { OtlpSinkParts } from './system/otlp-sink.ts';
import type { SpanSink } from './system/span.ts';

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
    demand: () => readPools(cluster),
  });
  const resource = { 'service.name': 'simple-ci', 'service.version': options.version, 'service.instance.id': nodeId };
  const traces = options.otlp && resources.use(await openTraces({ ...options.otlp, resource, clock, logger }));
  // Before anything is formed: a start that fails for its port leaves no cluster, and has shown no token.
  const heldPort = resources.use(await holdPort(options.listen));
  await makeDataFolder(options.dataDir);
  const supervisors = resources.use(new SupervisorKeeper(() => startOwnSupervisor(options, nodeId, instance), clock));
  // Takes as long as all the rest of the start together, and needs none of it.
  const supervised = options.slots > 0 ? supervisors.begin() : Promise.resolve();
  supervised.catch(() => undefined); // It is awaited below, unless something else fails before.

  let address = '';
  const entered = resources.use(
    await enterCluster(options, {
      address: () => address,
      observeStore: (operation, result, seconds) => metrics.storeCalls.observe({ operation, result }, seconds),
      observeObjects: (operation, result, seconds) => metrics.objectCalls.observe({ operation, result }, seconds),
    }),
  );
  const { cluster, formed, signer, adminToken } = entered;
  if (options.etcd && !options.s3) options.onNotice(shareFolder(options.dataDir));

  const access = resources.use(await AccessControl.open(cluster, neverAborted));
  const history = new History(cluster);
  const nodeToken = () => access.issueNodeToken(nodeId);
  const logs = createLogs({
    objects: cluster.objects,
    objectKeys: cluster.objectKeys,
    clock,
    chance,
    lag: logLag,
    ...(options.logFlushMs !== undefined && { flushMs: options.logFlushMs }),
  });
  const readFromNode = createReadFromNode({ token: nodeToken });
  const taskLogs = createTaskLogs({
    cluster,
    logs,
    instance,
    readFromNode,
    history: (id, signal) => history.get(id, signal),
  });
  // Loaded while the supervisor starts, which goes on beside it.
  const { startApi } = await import('./api/api-server.ts');
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
    readSecrets: (names, signal) => readAllSecrets(cluster, options.secretsKey, names, signal),
    prepareSource: createPrepareSource({ ...cacheOf(options), clock }),
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
  const applicant = { node: nodeId, instance, session: () => state.session };
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
      keeping: { askInstance: createAskInstance({ token: nodeToken, clock }) },
      state,
      ...(options.pod && { pod: await podOf(options.pod, options, cluster, nodeId, instance) }),
      ...(options.taskPods && (await (await import('./task-pods.ts')).podReaper(options, cluster, applicant, logger))),
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
  options.onNotice(formed ? `Formed cluster ${cluster.id}` : `Joined cluster ${cluster.id}`);
  return node;
}

function shareFolder(folder: string): string {
  return `No --s3 was given: logs, artifacts and workspaces are kept in ${join(folder, 'objects')}, which every node of the cluster must share`;
}

/**
 * Nodes that share a data folder have sandboxes of their own: a start sweeps away what dead processes have left, and cannot tell
 * those of another machine from dead ones.
 */
async function startOwnSupervisor(options: NodeOptions, nodeId: NodeId, instance: string): Promise<Supervisor> {
  const { supervisorCommand, dataDir, isolation, onNotice } = options;
  if (options.taskPods)
    return (await import('./task-pods.ts')).startTaskPods(options.taskPods, options, nodeId, instance);
  return startSupervisor({
    command: supervisorCommand,
    root: join(dataDir, 'sandboxes', options.sandboxFolder ?? nodeId),
    isolation,
    clock: systemClock,
    onNotice,
  });
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

/** A part of the folder, if it is known how large that is. */
function cacheOf({ dataDir, dataBytes }: NodeOptions): Pick<SourceOptions, 'cacheDir' | 'maxBytes'> {
  return { cacheDir: join(dataDir, 'cache'), ...(dataBytes !== undefined && { maxBytes: dataBytes / 4 }) };
}

async function readPools(cluster: Pick<Cluster, 'id' | 'keys' | 'store'>): Promise<Map<string, number>> {
  const { pools } = await readDemand(cluster, neverAborted);
  return new Map(Object.entries(pools).map(([name, { demand }]) => [name, demand]));
}
