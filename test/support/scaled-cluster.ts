import { joinCluster } from '../../node-runtime/cluster/join-cluster.ts';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { EtcdStore } from '../../node-runtime/store/etcd-store.ts';
import { parseEtcdOptions } from '../../node-runtime/store/etcd-options.ts';
import { readAll } from '../../node-runtime/store/read-all.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { parseClusterId } from '../../shared/ids.ts';
import { parseTasksKey } from '../../shared/keyspace.ts';
import { LockRecord } from '../../shared/result.ts';
import { Deployment } from './deployment.ts';
import type { EtcdServer } from './etcd-server.ts';
import { KubernetesServer } from './kubernetes-server.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import { shippedRole } from './rbac.ts';
import { temporaryFolder } from './temporary-folder.ts';

export const SLOTS = 2;

/** A Deployment of real nodes on a real etcd, whose number of pods an API server holds; and the cluster seen from outside. */
export interface ScaledCluster extends AsyncDisposable {
  readonly kubernetes: KubernetesServer;
  readonly deployment: Deployment;
  readonly cluster: Cluster;
  replicas(): number;
}

let number = 0;

export async function scaledCluster(
  etcd: EtcdServer,
  options: { readonly replicas?: number; readonly graceMs?: number; readonly args?: readonly string[] } = {},
): Promise<ScaledCluster> {
  const { replicas = 1, graceMs = 60_000, args = [] } = options;
  await using started = new AsyncDisposableStack();
  const kubernetes = started.use(await KubernetesServer.start());
  const data = started.use(await temporaryFolder());
  const endpoints = etcd.endpoints.join(',');
  const id = parseClusterId(`scaled/ci-${process.pid}-${++number}`);
  const parts = { clock: systemClock, chance: systemChance };
  const store = started.use(await EtcdStore.open(parseEtcdOptions(endpoints), parts, neverAborted));
  const objects = async () => new MemoryObjectStore();
  const { cluster } = await joinCluster(id, { store, objects, ...parts }, neverAborted);
  const account = kubernetes.account('simple-ci', { ci: [shippedRole('mark-pods'), shippedRole('scale')] });
  const own = ['--cluster', id, '--etcd', endpoints, '--slots', String(SLOTS), '--isolation', 'none'];
  const inPod = ['--service-account', account.folder, '--data', data.path, '--termination-grace', `${graceMs / 1000}s`];
  const deployment = started.use(
    new Deployment({
      kubernetes,
      name: 'simple-ci',
      replicas,
      graceMs,
      args: pod => [...own, ...inPod, '--node-id', pod, '--pod', pod, ...args],
      env: account.env,
      busy: () => busyNodes(cluster),
    }),
  );
  await deployment.ready();
  const owned = started.move();
  return {
    kubernetes,
    deployment,
    cluster,
    replicas: () => (kubernetes.get('deployments', 'simple-ci')!.spec as { replicas: number }).replicas,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function busyNodes({ store, keys }: Cluster): Promise<Set<string>> {
  const busy = new Set<string>();
  for await (const { key, value } of readAll(store, keys.tasks, { signal: neverAborted, timeoutMs: 5000 }))
    if (parseTasksKey(keys, key)?.kind === 'lock') busy.add(LockRecord.parse(JSON.parse(value)).node);
  return busy;
}
