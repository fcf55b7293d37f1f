import { systemChance } from '../../node-runtime/system/chance.ts';
import { systemClock } from '../../node-runtime/system/clock.ts';
import { type StoreFixture, storeContract } from '../contracts/store-contract.ts';
import { ModelEtcd } from './model-etcd.ts';
import { ModelStore } from './model-store.ts';
import { Link, type Party } from './network.ts';
import { SeededChance } from './seeded-chance.ts';

/** In real time, over a network that takes none. */
async function createFixture(): Promise<StoreFixture> {
  const chance = new SeededChance(1);
  const etcd = new ModelEtcd(systemClock, chance);
  etcd.mostRevisionsInReply = 7;
  const party: Party = { ...systemClock, deliver: run => run() };
  const connect = () => {
    const link = new Link(party, systemClock, chance, true);
    return { link, store: new ModelStore(etcd, link, systemChance) };
  };
  const { link, store } = connect();
  let cutting: NodeJS.Timeout | undefined;
  return {
    address: { kind: 'here', open: () => connect().store },
    store,
    compact: async revision => etcd.compact(revision),
    faults: {
      cut: () => link.cut(),
      // In bytes only more or less: a stream gets some replies through before the next cut.
      cutEvery: bytes => {
        clearInterval(cutting);
        if (bytes > 0) cutting = setInterval(() => link.cut(), 5);
      },
      dropAnswers() {
        link.isDeafened = true;
        return {
          undo: () => {
            link.isDeafened = false;
          },
        };
      },
      moveLeader: async () => {
        etcd.changeLeader();
        link.cut();
      },
    },
    async [Symbol.asyncDispose]() {
      clearInterval(cutting);
      await store[Symbol.asyncDispose]();
    },
  };
}

storeContract('ModelStore', () => true, createFixture);
