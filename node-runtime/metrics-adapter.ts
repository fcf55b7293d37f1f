import { hostname } from 'node:os';
import { describeError } from '../shared/errors.ts';
import { keyspace } from '../shared/keyspace.ts';
import type { AdapterOptions, RunningAdapter } from './adapter-options.ts';
import { CALL_TIMEOUT_MS } from './cluster/cluster.ts';
import { Session } from './cluster/session.ts';
import { KubernetesApi } from './kubernetes/kubernetes-api.ts';
import { MetricsServer } from './kubernetes/metrics-server.ts';
import { keepDemand } from './queue/keep-demand.ts';
import { readDemand } from './queue/read-demand.ts';
import { EtcdStore } from './store/etcd-store.ts';
import { systemChance } from './system/chance.ts';
import { deadline, neverAborted, systemClock } from './system/clock.ts';
import { createLogger } from './system/logger.ts';

/**
 * Serves the demand to HorizontalPodAutoscalers, apart from nodes: several of it can run, and all nodes may be scaled away. It
 * counts the demand where no node does. It is no member of the cluster, and forms none.
 */
export async function startMetricsAdapter(options: AdapterOptions): Promise<RunningAdapter> {
  await using resources = new AsyncDisposableStack();
  const [clock, chance] = [systemClock, systemChance];
  const logger = createLogger({ level: options.logLevel, pretty: process.stderr.isTTY === true });
  const api = new KubernetesApi(options.inCluster, clock);
  const store = resources.use(await EtcdStore.open(options.etcd, { clock, chance }, neverAborted));
  const cluster = { id: options.cluster, keys: keyspace(options.cluster), store, clock, chance };
  const { namespaces } = options;
  const living = new AbortController();
  const source = {
    demand: () => readDemand(cluster, living.signal),
    cluster: options.cluster.replaceAll('/', '.'),
    namespaces: namespaces.length > 0 ? namespaces : [await api.namespace()],
    now: () => clock.now(),
  };
  const server = resources.use(await MetricsServer.start({ ...options, api, source, clock, logger }, living.signal));
  const applicant = { node: `metrics-adapter ${hostname()}`, instance: chance.word(16) };
  const counting = countDemand();
  resources.defer(async () => {
    living.abort();
    await counting;
  });
  const owned = resources.move();
  return { port: server.port, [Symbol.asyncDispose]: () => owned.disposeAsync() };

  /** With a lease of its own, and another when it has lost that. Never rejects: it answers without, if somebody else counts. */
  async function countDemand(): Promise<void> {
    const { signal } = living;
    const onError = (error: unknown) => logger.warn('Cannot count the demand', { error: describeError(error) });
    while (!signal.aborted) {
      try {
        const session = await Session.open(cluster, () => undefined, signal);
        const held = AbortSignal.any([signal, session.lost]);
        const keep = session.keep(held);
        await keepDemand(cluster, { ...applicant, session: () => session }, onError, held);
        await keep;
        using limit = deadline(clock, CALL_TIMEOUT_MS, neverAborted);
        await session.close(limit.signal);
      } catch (error) {
        if (!signal.aborted) onError(error);
      }
      await clock.sleep(1000, signal).catch(() => undefined);
    }
  }
}
