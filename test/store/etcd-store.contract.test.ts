import { EtcdStore } from '../../node-runtime/store/etcd-store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { type StoreFixture, storeContract } from '../contracts/store-contract.ts';
import { requireEtcd, startEtcd } from '../support/etcd-server.ts';
import { FaultProxy } from '../support/fault-proxy.ts';

async function createFixture(): Promise<StoreFixture> {
  const etcd = await startEtcd({ members: 3 });
  const proxies = await Promise.all(etcd.endpoints.map(endpoint => FaultProxy.start(endpoint)));
  const [first, ...others] = proxies.map(proxy => proxy.endpoint);
  const parts = { clock: systemClock, chance: systemChance };
  const store = await EtcdStore.open({ endpoints: [first!, ...others] }, parts, neverAborted);
  const each = (work: (proxy: FaultProxy) => void) => proxies.forEach(work);
  return {
    address: { kind: 'etcd', options: etcd.options },
    store,
    async compact(revision) {
      await etcd.request('/v3/kv/compaction', { revision: String(revision), physical: true });
    },
    faults: {
      cut: () => each(proxy => proxy.cut()),
      cutEvery: bytes => each(proxy => proxy.set(bytes === 0 ? {} : { cutAfterBytes: bytes })),
      dropAnswers() {
        each(proxy => proxy.set({ blackhole: 'down' }));
        return { undo: () => each(proxy => proxy.set({})) };
      },
      moveLeader: () => etcd.moveLeader(),
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await Promise.all(proxies.map(proxy => proxy[Symbol.asyncDispose]()));
      await etcd[Symbol.asyncDispose]();
    },
  };
}

storeContract('EtcdStore on three members', requireEtcd, createFixture);
