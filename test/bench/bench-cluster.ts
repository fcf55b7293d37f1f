import { Etcd3 } from 'etcd3';
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
  /** etcd3's own client, as it is: what it sends is one call and one proposal each. */
  connectRaw(): Etcd3;
  /** The cluster as one node sees it, over a connection of its own. */
  join(): Promise<Cluster>;
}

/** One real etcd on this machine's disk, and as many connections to it as a benchmark wants. */
export async function benchCluster(): Promise<BenchCluster> {
  const etcd = await startEtcd();
  const stores: Store[] = [];
  const clients: Etcd3[] = [];
  const connect = async () => {
    const options = parseEtcdOptions(etcd.endpoints.join(','));
    const store = await EtcdStore.open(options, { clock: systemClock, chance: systemChance }, neverAborted);
    stores.push(store);
    return store;
  };
  return {
    etcd,
    connect,
    connectRaw: () => {
      const client = new Etcd3({ hosts: [...etcd.endpoints] });
      clients.push(client);
      return client;
    },
    join: async () => testCluster({ store: await connect() }),
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client.close();
      await Promise.all(stores.map(store => store[Symbol.asyncDispose]()));
      await etcd[Symbol.asyncDispose]();
    },
  };
}
