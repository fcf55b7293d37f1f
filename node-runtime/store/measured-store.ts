import type { Clock } from '../system/clock.ts';
import { type CallObserver, measureCall } from '../system/measure-call.ts';
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

/** A store of which each call is told. A watch is not: it lasts as long as somebody wants it. */
export class MeasuredStore implements Store {
  readonly #store: Store;
  readonly #measuring: { readonly clock: Clock; readonly observe: CallObserver };

  constructor(store: Store, measuring: { readonly clock: Clock; readonly observe: CallObserver }) {
    this.#store = store;
    this.#measuring = measuring;
  }

  range(request: RangeRequest, call: Call): Promise<RangeResult> {
    return this.#measure('range', call, () => this.#store.range(request, call));
  }

  commit(transaction: Transaction, call: Call): Promise<CommitResult> {
    return this.#measure(
      'commit',
      call,
      () => this.#store.commit(transaction, call),
      ({ kind }) => kind,
    );
  }

  watch(request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchBatch> {
    return this.#store.watch(request, signal);
  }

  grantLease(ttlSeconds: number, call: Call): Promise<LeaseId> {
    return this.#measure('grant-lease', call, () => this.#store.grantLease(ttlSeconds, call));
  }

  renewLease(lease: LeaseId, call: Call): Promise<number> {
    return this.#measure(
      'renew-lease',
      call,
      () => this.#store.renewLease(lease, call),
      seconds => (seconds > 0 ? 'ok' : 'gone'),
    );
  }

  revokeLease(lease: LeaseId, call: Call): Promise<void> {
    return this.#measure('revoke-lease', call, () => this.#store.revokeLease(lease, call));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#store[Symbol.asyncDispose]());
  }

  #measure<T>(
    operation: string,
    { signal }: Call,
    call: () => Promise<T>,
    resultOf?: (answer: T) => string,
  ): Promise<T> {
    return measureCall(this.#measuring, operation, signal, call, resultOf);
  }
}
