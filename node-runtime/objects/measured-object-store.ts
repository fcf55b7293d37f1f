import type { Clock } from '../system/clock.ts';
import { type CallObserver, measureCall } from '../system/measure-call.ts';
import type {
  GetOptions,
  ObjectBody,
  ObjectCall,
  ObjectInfo,
  ObjectStore,
  PresignOptions,
  PutOptions,
} from './object-store.ts';

/**
 * An object store of which each call is told, with all that was tried again inside it. A get is told when its first bytes may come; a
 * list, which asks as it is read, and a signature, which asks nobody, are not.
 */
export class MeasuredObjectStore implements ObjectStore {
  readonly #objects: ObjectStore;
  readonly #measuring: { readonly clock: Clock; readonly observe: CallObserver };

  constructor(objects: ObjectStore, measuring: { readonly clock: Clock; readonly observe: CallObserver }) {
    this.#objects = objects;
    this.#measuring = measuring;
  }

  put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>, options: PutOptions): Promise<void> {
    return this.#measure('put', options, () => this.#objects.put(key, body, options));
  }

  get(key: string, options: GetOptions): Promise<ObjectBody | undefined> {
    return this.#measure('get', options, () => this.#objects.get(key, options));
  }

  head(key: string, options: ObjectCall): Promise<ObjectInfo | undefined> {
    return this.#measure('head', options, () => this.#objects.head(key, options));
  }

  list(prefix: string, options: ObjectCall & { readonly after?: string }): AsyncIterable<ObjectInfo> {
    return this.#objects.list(prefix, options);
  }

  deleteMany(keys: readonly string[], options: ObjectCall): Promise<void> {
    return this.#measure('delete', options, () => this.#objects.deleteMany(keys, options));
  }

  presign(method: 'GET' | 'PUT', key: string, options: PresignOptions): Promise<string> {
    return this.#objects.presign(method, key, options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#objects[Symbol.asyncDispose]());
  }

  #measure<T>(operation: string, { signal }: ObjectCall, call: () => Promise<T>): Promise<T> {
    return measureCall(this.#measuring, operation, signal, call);
  }
}
