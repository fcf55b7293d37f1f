import type { CiError } from '../../shared/errors.ts';

/**
 * Coordination: a small ordered map with revisions, transactions, watches and leases, at etcd's level. What tasks and claims
 * mean is written above it, once.
 *
 * Every change to the map has a revision, larger than the one before. Reads and transactions are linearizable: each sees all
 * that was acknowledged before it began. Nothing is retried inside: a read that fails has failed, a transaction whose answer
 * was lost is `ambiguous`, and the caller, who knows what it meant, reads back.
 *
 * Failures are CiErrors: `unavailable` (not done, may pass), `unauthenticated`, `forbidden`, `too-large`, `invalid`,
 * `gone` (the revision asked for has been compacted), `conflict` (the lease named in a transaction does not exist: nothing
 * was done). A call that its signal ends rejects with the signal's reason.
 *
 * Disposing of a store ends its watches quietly; calls are `unavailable` then.
 */
export interface Store extends AsyncDisposable {
  /** Reads up to `limit` records in key order, all at one revision. */
  range(request: RangeRequest, call: Call): Promise<RangeResult>;
  /** All of it or nothing, at one revision. The result is a value also when the answer was lost. */
  commit(transaction: Transaction, call: Call): Promise<CommitResult>;
  /**
   * Every change of the keys asked for from `from` on, in order, none twice, across lost connections. Ends only by its signal
   * (then quietly) or by an error; `gone` means that changes were missed and the caller must read everything anew.
   * A batch never ends within a revision.
   */
  watch(request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchBatch>;
  /** A lease that ends `ttlSeconds` after its last renewal, with all keys put under it: never earlier by the store's own clock. */
  grantLease(ttlSeconds: number, call: Call): Promise<LeaseId>;
  /** Seconds the lease now has, or 0 if it no longer exists. */
  renewLease(lease: LeaseId, call: Call): Promise<number>;
  /** Ends the lease and deletes its keys now. A lease that does not exist is no error. */
  revokeLease(lease: LeaseId, call: Call): Promise<void>;
}

/** How long a call may take. */
export interface Call {
  readonly signal: AbortSignal;
  /** Milliseconds from now after which the call gives up by itself: `unavailable`, or `ambiguous` for a transaction. */
  readonly timeoutMs: number;
}

export type LeaseId = string & { readonly leaseId: unique symbol };

/** A key with its value, and the revisions that made it and last changed it. */
export interface StoreRecord {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly lease?: LeaseId;
}

/** One key, or those that start with `prefix`; of these only the ones after `after`, if given. */
export type RangeRequest = ({ readonly key: string } | { readonly prefix: string; readonly after?: string }) & {
  /** At most this many records. Page on with `after` and `revision`. */
  readonly limit: number;
  /** The revision to read at. Default: the newest. */
  readonly revision?: number;
  readonly keysOnly?: boolean;
};

export interface RangeResult {
  /** The revision that was read: the one asked for, or the newest. Watch from the next one to miss nothing. */
  readonly revision: number;
  readonly records: readonly StoreRecord[];
  /** Whether there are more than `limit`. */
  readonly more: boolean;
}

/** At most 100 compares and operations together, no key put or deleted twice. */
export interface Transaction {
  /** All must hold, or nothing is done. */
  readonly when: readonly Compare[];
  readonly then: readonly Operation[];
  /** Keys to read when a compare does not hold: what a refused caller needs to know why. */
  readonly otherwise?: readonly string[];
}

export type Compare =
  | { readonly key: string; readonly exists: boolean }
  /** The key exists and was created by this revision: how a fence is checked. */
  | { readonly key: string; readonly createRevision: number }
  /** The key exists and was last changed by this revision; 0: it does not exist. */
  | { readonly key: string; readonly modRevision: number };

export type Operation =
  | { readonly put: string; readonly value: string; readonly lease?: LeaseId }
  | { readonly delete: string };

export type CommitResult =
  | { readonly kind: 'committed'; readonly revision: number }
  /** A compare did not hold. `records` has those keys of `otherwise` that exist, at `revision`. */
  | { readonly kind: 'refused'; readonly revision: number; readonly records: ReadonlyMap<string, StoreRecord> }
  /** It may or may not have been done. */
  | { readonly kind: 'ambiguous'; readonly cause: CiError };

export interface WatchRequest {
  readonly prefix: string;
  /** Only keys after this one, if given. */
  readonly after?: string;
  /** Only keys up to this one, which is included, if given. */
  readonly upTo?: string;
  /** The first revision wanted. */
  readonly from: number;
}

export interface WatchBatch {
  /** Everything up to this revision has been delivered. */
  readonly revision: number;
  /** Empty when the store only says how far it is. */
  readonly changes: readonly Change[];
}

export type Change =
  | { readonly kind: 'put'; readonly record: StoreRecord }
  | { readonly kind: 'delete'; readonly key: string; readonly revision: number };

/** Most operations and compares in one transaction. */
export const MAX_TRANSACTION_SIZE = 100;
/** Largest value, in bytes of UTF-8. etcd itself refuses requests of 1.5 MiB. */
export const MAX_VALUE_BYTES = 1_000_000;
