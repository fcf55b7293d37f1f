import type { Call, Store, StoreRecord } from './store.ts';

export interface Together {
  readonly revision: number;
  readonly records: ReadonlyMap<string, StoreRecord>;
}

/** Reads up to 90 keys at one revision; the map has those that exist. Costs etcd a read, no proposal. */
export async function readTogether(store: Store, keys: readonly [string, ...string[]], call: Call): Promise<Together> {
  // Two compares that cannot both hold: the transaction is always refused, and reading is what a refused one does.
  const never = [
    { key: keys[0], exists: true },
    { key: keys[0], exists: false },
  ];
  const result = await store.commit({ when: never, then: [], otherwise: keys }, call);
  if (result.kind === 'refused') return result;
  if (result.kind === 'ambiguous') throw result.cause;
  throw new Error('A transaction was committed whose compares contradict each other');
}
