import type { IWatchResponse } from 'etcd3';
import { CiError } from '../../shared/errors.ts';
import { checkRange, checkTransaction, checkTtl, checkWatch } from '../../node-runtime/store/check-request.ts';
import { EtcdFailure, STATUS } from '../../node-runtime/store/etcd/etcd-failure.ts';
import { watchEtcd, type WatchParts } from '../../node-runtime/store/etcd/etcd-watch.ts';
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
} from '../../node-runtime/store/store.ts';
import type { Chance } from '../../node-runtime/system/chance.ts';
import type { ModelEtcd } from './model-etcd.ts';
import { type Answer, type Link, OVER } from './network.ts';

/** gRPC's keepalive notices after so long that nobody is there any more, in milliseconds. */
const DEAD_CONNECTION_MS = 13_000;
/** A stream that has not begun by then is given up, in milliseconds. */
const STREAM_START_MS = 3000;

/** Not to be had, and whether it may have been done all the same. */
class CallFailure extends Error {
  readonly isUnclear: boolean;
  constructor(message: string, isUnclear: boolean) {
    super(message);
    this.isUnclear = isUnclear;
  }
}

/** What opens a watch, as etcd is sent it. */
interface WatchMessage {
  readonly create_request: { readonly key: Buffer; readonly range_end: Buffer; readonly start_revision: number };
}

/** One process's connection to a model of etcd, over a network that may be bad. Its watches are the product's own, on streams of the model. */
export class ModelStore implements Store {
  readonly #etcd: ModelEtcd;
  readonly #link: Link;
  readonly #chance: Chance;
  readonly #closed = new AbortController();

  constructor(etcd: ModelEtcd, link: Link, chance: Chance) {
    this.#etcd = etcd;
    this.#link = link;
    this.#chance = chance;
  }

  async range(request: RangeRequest, call: Call): Promise<RangeResult> {
    checkRange(request);
    return this.#ask('read', call, () => this.#etcd.range(request));
  }

  async commit(transaction: Transaction, call: Call): Promise<CommitResult> {
    checkTransaction(transaction);
    try {
      const keys = transaction.then.map(operation => ('put' in operation ? operation.put : operation.delete));
      return await this.#exchange(call, () => this.#etcd.commit(transaction), keys);
    } catch (error) {
      if (!(error instanceof CallFailure)) throw error;
      const cause = new CiError('unavailable', `Cannot commit as ${error.message}`);
      if (error.isUnclear && transaction.then.length > 0) return { kind: 'ambiguous', cause };
      throw cause;
    }
  }

  watch(request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchBatch> {
    checkWatch(request);
    const { signal: closed } = this.#closed;
    const connection: WatchParts['connection'] = {
      closed,
      get isClosed() {
        return closed.aborted;
      },
      hasAuth: false,
      forgetToken: () => undefined,
      stream: (_open, message, ended) => this.#stream(message as never, ended) as never,
    };
    return watchEtcd({ connection, clock: this.#link.party, chance: this.#chance }, request, signal);
  }

  async grantLease(ttlSeconds: number, call: Call): Promise<LeaseId> {
    checkTtl(ttlSeconds);
    return this.#ask('grant a lease', call, () => this.#etcd.grant(ttlSeconds));
  }

  renewLease(lease: LeaseId, call: Call): Promise<number> {
    return this.#ask('renew a lease', call, () => this.#etcd.renew(lease));
  }

  revokeLease(lease: LeaseId, call: Call): Promise<void> {
    return this.#ask('revoke a lease', call, () => this.#etcd.revoke(lease));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
  }

  async #ask<T>(what: string, call: Call, effect: () => T): Promise<T> {
    try {
      return await this.#exchange(call, effect);
    } catch (error) {
      if (!(error instanceof CallFailure)) throw error;
      throw new CiError('unavailable', `Cannot ${what} as ${error.message}`);
    }
  }

  #exchange<T>({ signal, timeoutMs }: Call, effect: () => T, keys: readonly string[] = []): Promise<T> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#closed.signal.aborted) return Promise.reject(new CallFailure('the store is closed', false));
    return new Promise((resolve, reject) => {
      const over = new AbortController();
      const fail = (error: unknown) => {
        end();
        reject(error);
      };
      const aborted = () => fail(signal.reason);
      const closed = () => fail(new CallFailure('the store is closed', true));
      const stopListening = this.#link.onCut(() => fail(new CallFailure('the connection broke', true)));
      const end = () => {
        over.abort(OVER);
        stopListening();
        signal.removeEventListener('abort', aborted);
        this.#closed.signal.removeEventListener('abort', closed);
      };
      signal.addEventListener('abort', aborted, { once: true });
      this.#closed.signal.addEventListener('abort', closed, { once: true });
      this.#link.party.sleep(timeoutMs, over.signal).then(
        () => fail(new CallFailure('etcd did not answer in time', true)),
        () => undefined,
      );
      const { generation } = this.#etcd;
      this.#link.write<T | typeof SILENCE>(
        keys,
        () => (this.#etcd.hasLeader && this.#etcd.generation === generation ? effect() : SILENCE),
        answer => {
          if (over.signal.aborted || (answer.kind === 'done' && answer.value === SILENCE)) return;
          end();
          settle(answer as Answer<T>, resolve, reject);
        },
      );
    });
  }

  /** The replies of one watch stream of etcd, until it breaks. */
  async *#stream(
    { create_request: { key, range_end, start_revision } }: WatchMessage,
    signal: AbortSignal,
  ): AsyncGenerator<IWatchResponse> {
    const replies: IWatchResponse[] = [];
    let more = Promise.withResolvers<void>();
    let isBroken = false;
    let close: () => void = () => undefined;
    const breakOff = () => {
      isBroken = true;
      more.resolve();
    };
    const isOver = () => isBroken || signal.aborted;
    const stopListening = this.#link.onCut(() => this.#link.party.deliver(breakOff));
    const done = new AbortController();
    const ended = AbortSignal.any([signal, done.signal, this.#closed.signal]);
    ended.addEventListener('abort', () => more.resolve(), { once: true });
    void this.#breakWhenSilent(breakOff, ended);
    // A single zero byte as the end: all that follow.
    const isOpen = range_end.length === 1 && range_end[0] === 0;
    const range = isOpen ? { start: key } : { start: key, end: range_end };
    let hasBegun = false;
    this.#link.party.sleep(STREAM_START_MS, ended).then(
      () => hasBegun || breakOff(),
      () => undefined,
    );
    const send = (reply: IWatchResponse) =>
      this.#link.bring(() => {
        hasBegun = true;
        replies.push(reply);
        more.resolve();
      }, isOver);
    this.#link.exchange(
      () => {
        if (!isOver()) close = this.#etcd.watch(range, start_revision, { send });
      },
      () => undefined,
    );
    try {
      while (!ended.aborted) {
        while (replies.length > 0 && !isBroken) yield replies.shift()!;
        if (isBroken) throw new EtcdFailure(STATUS.unavailable, 'the stream broke', 'model');
        await more.promise;
        more = Promise.withResolvers<void>();
      }
    } finally {
      isBroken = true;
      close();
      stopListening();
      done.abort(OVER);
    }
  }

  /** A connection that nothing comes through is given up: at once where etcd says that it has no leader, else after 13 s. */
  async #breakWhenSilent(breakOff: () => void, ended: AbortSignal): Promise<void> {
    const { party } = this.#link;
    for (let silent = 0; !ended.aborted; ) {
      await party.sleep(DEAD_CONNECTION_MS / 2, ended).catch(() => undefined);
      silent = this.#link.isPartitioned || this.#link.isDeafened || !this.#etcd.hasLeader ? silent + 1 : 0;
      if (silent === 2) return breakOff();
    }
  }
}

/** What a request to an etcd without a leader is answered with. */
const SILENCE = Symbol('no answer');

function settle<T>(answer: Answer<T>, resolve: (value: T) => void, reject: (error: unknown) => void): void {
  if (answer.kind === 'done') resolve(answer.value);
  else reject(errorOf(answer));
}

function errorOf(answer: Exclude<Answer<unknown>, { kind: 'done' }>): unknown {
  switch (answer.kind) {
    case 'failed':
      return answer.error;
    case 'refused':
      return new CallFailure('etcd refuses connections', false);
    case 'broken':
      return new CallFailure('the connection broke', true);
  }
}
