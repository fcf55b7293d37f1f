import type { Operation, Store, Transaction } from '../../node-runtime/store/store.ts';

/** What the next release adds to every record that is an object, and this one does not know. */
export const NEXT_FIELD = 'sinceNextRelease';

/**
 * The store as the next release would use it: whatever it puts has a field more, in the record and in what the record holds.
 * Everything else is as it is now, since two releases that share a cluster must agree on the protocol.
 */
export function asNextRelease(store: Store): Store {
  return {
    range: (request, call) => store.range(request, call),
    commit: (transaction, call) => store.commit(withField(transaction), call),
    watch: (request, signal) => store.watch(request, signal),
    grantLease: (ttlSeconds, call) => store.grantLease(ttlSeconds, call),
    renewLease: (lease, call) => store.renewLease(lease, call),
    revokeLease: (lease, call) => store.revokeLease(lease, call),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

function withField(transaction: Transaction): Transaction {
  return { ...transaction, then: transaction.then.map(addField) };
}

function addField(operation: Operation): Operation {
  if (!('put' in operation)) return operation;
  const value: unknown = JSON.parse(operation.value);
  if (typeof value !== 'object') return operation;
  return { ...operation, value: JSON.stringify({ ...value, [NEXT_FIELD]: { of: 'the next release' } }) };
}
