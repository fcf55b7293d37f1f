import type { ICompare, IKeyValue, IRangeRequest, IRequestOp, ITxnRequest, ITxnResponse } from 'etcd3';
import { type KeyRange, requestedRange, watchedRange } from '../key-range.ts';
import type {
  Change,
  CommitResult,
  Compare,
  LeaseId,
  Operation,
  RangeRequest,
  StoreRecord,
  Transaction,
  WatchRequest,
} from '../store.ts';

/** In etcd's requests a single zero byte stands for "from the first key" and "to the last key". */
const EDGE = Buffer.from([0]);

export function toRangeRequest(request: RangeRequest): IRangeRequest {
  const range = requestedRange(request);
  return {
    ...(range ? toRange(range) : { key: Buffer.from((request as { key: string }).key) }),
    limit: request.limit,
    keys_only: request.keysOnly ?? false,
    ...(request.revision !== undefined && { revision: request.revision }),
  };
}

export function toWatchedRange(request: WatchRequest): { key: Buffer; range_end: Buffer } {
  return toRange(watchedRange(request));
}

export function toTxnRequest({ when, then, otherwise = [] }: Transaction): ITxnRequest {
  return {
    compare: when.map(toCompare),
    success: then.map(toOperation),
    failure: otherwise.map(key => ({ request_range: { key: Buffer.from(key) } })),
  };
}

export function toCommitResult(response: ITxnResponse): CommitResult {
  const revision = Number(response.header.revision);
  if (response.succeeded) return { kind: 'committed', revision };
  const found = response.responses.flatMap(part => part.response_range.kvs.map(toRecord));
  return { kind: 'refused', revision, records: new Map(found.map(record => [record.key, record])) };
}

/**
 * All of them in one proposal: nested in a transaction whose compares contradict each other, as what is to be done otherwise.
 * etcd 3.4 asks of puts on the first level only whether there is room for them: the one that is never done lets it refuse
 * the group when its quota is used up.
 */
export function toGroupRequest(transactions: readonly Transaction[]): ITxnRequest {
  const key = keyChangedBy(transactions);
  return {
    compare: [toCompare({ key, exists: true }), toCompare({ key, exists: false })],
    success: [toOperation({ put: key, value: '' })],
    failure: transactions.map(transaction => ({ request_txn: toTxnRequest(transaction) })),
  };
}

/** A key that may be written to. */
function keyChangedBy([first]: readonly Transaction[]): string {
  const [operation] = first!.then;
  return 'put' in operation! ? operation.put : operation!.delete;
}

/** etcd tells the revision for the whole only. */
export function toGroupResults({ header, responses }: ITxnResponse): readonly CommitResult[] {
  return responses.map(({ response_txn: { succeeded, responses } }) =>
    toCommitResult({ header, succeeded, responses }),
  );
}

export function toRecord(kv: IKeyValue): StoreRecord {
  return {
    key: kv.key.toString(),
    value: kv.value.toString(),
    createRevision: Number(kv.create_revision),
    modRevision: Number(kv.mod_revision),
    ...(kv.lease !== '0' && { lease: kv.lease as LeaseId }),
  };
}

export function toChange(event: { readonly type: string; readonly kv: IKeyValue }): Change {
  return event.type.toLowerCase() === 'delete'
    ? { kind: 'delete', key: event.kv.key.toString(), revision: Number(event.kv.mod_revision) }
    : { kind: 'put', record: toRecord(event.kv) };
}

function toRange({ start, end }: KeyRange): { key: Buffer; range_end: Buffer } {
  return { key: start.length > 0 ? start : EDGE, range_end: end ?? EDGE };
}

/** A key that does not exist has revisions of 0. */
function toCompare(compare: Compare): ICompare {
  const key = Buffer.from(compare.key);
  if ('modRevision' in compare) return { key, target: 'Mod', result: 'Equal', mod_revision: compare.modRevision };
  const { result, revision } =
    'exists' in compare
      ? ({ result: compare.exists ? 'Greater' : 'Equal', revision: 0 } as const)
      : ({ result: 'Equal', revision: compare.createRevision } as const);
  return { key, target: 'Create', result, create_revision: revision };
}

function toOperation(operation: Operation): IRequestOp {
  if ('delete' in operation) return { request_delete_range: { key: Buffer.from(operation.delete) } };
  return {
    request_put: {
      key: Buffer.from(operation.put),
      value: Buffer.from(operation.value),
      ...(operation.lease !== undefined && { lease: operation.lease }),
    },
  };
}
