import type { CallOptions } from '@grpc/grpc-js';
import type { ILeaseKeepAliveResponse, ITxnRequest, ITxnResponse } from 'etcd3';
import { type CiError, isCiError } from '../../shared/errors.ts';
import type { Chance } from '../system/chance.ts';
import type { Clock } from '../system/clock.ts';
import { checkRange, checkTransaction, checkTtl, checkWatch } from './check-request.ts';
import { describeRange, describeTransaction } from './describe-request.ts';
import { CommitGroups } from './etcd/commit-groups.ts';
import { EtcdConnection } from './etcd/etcd-connection.ts';
import { type EtcdClient, firstReply } from './etcd/etcd-endpoint.ts';
import { EtcdFailure } from './etcd/etcd-failure.ts';
import {
  toCommitResult,
  toGroupRequest,
  toGroupResults,
  toRangeRequest,
  toRecord,
  toTxnRequest,
} from './etcd/etcd-messages.ts';
import { watchEtcd } from './etcd/etcd-watch.ts';
import type { EtcdOptions } from './etcd-options.ts';
import type {
  Call,
  CommitResult,
  LeaseId,
  RangeRequest,
  RangeResult,
  Store,
  Transaction,
  WatchBatch,
  WatchRequest,
} from './store.ts';

export interface EtcdStoreParts {
  readonly clock: Clock;
  readonly chance: Chance;
}

const OPEN_TIMEOUT_MS = 5000;

/**
 * The store of a cluster: etcd 3.4 or later. Loads some 700 KB of code; import it where it is needed.
 *
 * A member that fails costs the calls then on their way to it, and at most the timeout of one call when it hangs rather than
 * refuses; the next call goes to another one, and so do all watches.
 */
export class EtcdStore implements Store {
  readonly #connection: EtcdConnection;
  readonly #parts: EtcdStoreParts;
  readonly #groups: CommitGroups;

  private constructor(connection: EtcdConnection, parts: EtcdStoreParts) {
    this.#connection = connection;
    this.#parts = parts;
    this.#groups = new CommitGroups(
      {
        alone: (transaction, call) => this.#commitAlone(transaction, call),
        together: (transactions, call) => this.#commitTogether(transactions, call),
      },
      parts.clock,
    );
  }

  /** Fails within 5 s with `unavailable`, `unauthenticated`, or `invalid` for certificates that cannot be used. */
  static async open(options: EtcdOptions, parts: EtcdStoreParts, signal: AbortSignal): Promise<EtcdStore> {
    const connection = await EtcdConnection.open(options, parts, { signal, timeoutMs: OPEN_TIMEOUT_MS });
    return new EtcdStore(connection, parts);
  }

  async range(request: RangeRequest, call: Call): Promise<RangeResult> {
    checkRange(request);
    const message = toRangeRequest(request);
    const what = describeRange(request);
    const response = await this.#ask(what, call, (client, options) => client.kv.range(message, options));
    const revision = request.revision ?? Number(response.header.revision);
    return { revision, records: response.kvs.map(toRecord), more: response.more };
  }

  async commit(transaction: Transaction, call: Call): Promise<CommitResult> {
    checkTransaction(transaction);
    return this.#groups.commit(transaction, call);
  }

  watch(request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchBatch> {
    checkWatch(request);
    return watchEtcd({ connection: this.#connection, ...this.#parts }, request, signal);
  }

  /** A lost answer is a failure: the lease that it may have made ends by itself, with nothing under it. */
  async grantLease(ttlSeconds: number, call: Call): Promise<LeaseId> {
    checkTtl(ttlSeconds);
    const request = { TTL: ttlSeconds };
    const response = await this.#ask('grant a lease', call, (client, options) =>
      client.leaseClient.leaseGrant(request, options),
    );
    return response.ID as LeaseId;
  }

  /** On a stream of its own for each renewal: one that hangs then costs this call, and not the lease. */
  async renewLease(lease: LeaseId, call: Call): Promise<number> {
    const reply = await this.#ask('renew a lease', call, async (client, options) =>
      firstReply<ILeaseKeepAliveResponse>(await client.leaseClient.leaseKeepAlive(options), { ID: lease }),
    );
    return Number(reply.TTL);
  }

  async revokeLease(lease: LeaseId, call: Call): Promise<void> {
    try {
      await this.#ask('revoke a lease', call, (client, options) =>
        client.leaseClient.leaseRevoke({ ID: lease }, options),
      );
    } catch (error) {
      // `conflict` is how an unknown lease is called, and having none is what was wanted.
      if (!isCiError(error, 'conflict')) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.close();
  }

  async #commitAlone(transaction: Transaction, call: Call): Promise<CommitResult> {
    const message = toTxnRequest(transaction);
    const what = describeTransaction(transaction);
    try {
      return toCommitResult(await this.#send(what, message, call));
    } catch (error) {
      call.signal.throwIfAborted();
      const known = translate(error, what);
      if (isUnclear(error) && transaction.then.length > 0) return { kind: 'ambiguous', cause: known as CiError };
      throw known;
    }
  }

  async #commitTogether(
    transactions: readonly Transaction[],
    call: Call,
  ): Promise<readonly CommitResult[] | undefined> {
    const message = toGroupRequest(transactions);
    try {
      return toGroupResults(await this.#send(`write for ${transactions.length} at once`, message, call));
    } catch (error) {
      if (isUnclear(error))
        return transactions.map(each => ({
          kind: 'ambiguous',
          cause: translate(error, describeTransaction(each)) as CiError,
        }));
      if (error instanceof EtcdFailure) return undefined;
      throw error;
    }
  }

  #send(what: string, message: ITxnRequest, call: Call): Promise<ITxnResponse> {
    return this.#connection.call(what, call, (client, options) => client.kv.txn(message, options));
  }

  async #ask<T>(what: string, call: Call, send: (client: EtcdClient, options: CallOptions) => Promise<T>): Promise<T> {
    try {
      return await this.#connection.call(what, call, send);
    } catch (error) {
      call.signal.throwIfAborted();
      throw translate(error, what);
    }
  }
}

function isUnclear(error: unknown): boolean {
  return error instanceof EtcdFailure && error.isUnclear;
}

function translate(error: unknown, what: string): unknown {
  return error instanceof EtcdFailure ? error.toCiError(what) : error;
}
