import type { CommitResult, Store, Transaction } from '../../node-runtime/store/store.ts';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';

export type Commit = (transaction: Transaction) => Promise<CommitResult>;

/** The same cluster, with a store of which a test decides what becomes of each transaction that writes. */
export function scriptedCommits<C extends Cluster>(
  cluster: C,
  decide: (transaction: Transaction, commit: Commit) => Promise<CommitResult>,
): C {
  const { store } = cluster;
  const scripted: Store = {
    range: (request, call) => store.range(request, call),
    commit: (transaction, call) => {
      const commit: Commit = given => store.commit(given, call);
      return transaction.then.length === 0 ? commit(transaction) : decide(transaction, commit);
    },
    watch: (request, signal) => store.watch(request, signal),
    grantLease: (ttl, call) => store.grantLease(ttl, call),
    renewLease: (lease, call) => store.renewLease(lease, call),
    revokeLease: (lease, call) => store.revokeLease(lease, call),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
  return { ...cluster, store: scripted };
}

/** Whether a transaction puts or deletes this key. */
export function touches(transaction: Transaction, key: string): boolean {
  return transaction.then.some(operation => ('put' in operation ? operation.put : operation.delete) === key);
}
