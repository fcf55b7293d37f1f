import { parseClusterId } from '../../shared/ids.ts';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { joinCluster } from '../../node-runtime/cluster/join-cluster.ts';
import { EmbeddedStore } from '../../node-runtime/store/embedded-store.ts';
import type { Store } from '../../node-runtime/store/store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { type Clock, neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { MemoryObjectStore } from './memory-object-store.ts';

/** A cluster on an embedded store in memory, with objects in memory: everything above the seams, nothing below. */
export async function testCluster(options: { clock?: Clock; store?: Store } = {}): Promise<Cluster & AsyncDisposable> {
  const clock = options.clock ?? systemClock;
  const store = options.store ?? (await EmbeddedStore.open({ file: ':memory:', clock }));
  const objects = new MemoryObjectStore();
  const { cluster } = await joinCluster(
    parseClusterId('test/ci'),
    { store, objects: async () => objects, clock, chance: systemChance },
    neverAborted,
  );
  return { ...cluster, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}
