import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { EtcdStore } from '../../node-runtime/store/etcd-store.ts';
import { parseEtcdOptions } from '../../node-runtime/store/etcd-options.ts';
import type { Store } from '../../node-runtime/store/store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { testCluster } from '../support/test-cluster.ts';

export interface BenchCluster extends AsyncDisposable {
  readonly etcd: EtcdServer;
  /** A store of its own connection, as each node has one. */
  connect(): Promise<Store>;
  /** The cluster as one node sees it, over a connection of its own. */
  join(): Promise<Cluster>;
}

/** One real etcd on this machine's disk, and as many connections to it as a benchmark wants. */
export async function benchCluster(): Promise<BenchCluster> {
  const etcd = await startEtcd();
  const stores: Store[] = [];
  const connect = async () => {
    const options = parseEtcdOptions(etcd.endpoints.join(','));
    const store = await EtcdStore.open(options, { clock: systemClock, chance: systemChance }, neverAborted);
    stores.push(store);
    return store;
  };
  return {
    etcd,
    connect,
    join: async () => testCluster({ store: await connect() }),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(stores.map(store => store[Symbol.asyncDispose]()));
      await etcd[Symbol.asyncDispose]();
    },
  };
}
