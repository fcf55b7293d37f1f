import type {
  GetOptions,
  ObjectBody,
  ObjectCall,
  ObjectInfo,
  ObjectStore,
  PresignOptions,
  PutOptions,
} from '../../node-runtime/objects/object-store.ts';
import { type Chance, systemChance } from '../../node-runtime/system/chance.ts';
import { type Clock, systemClock } from '../../node-runtime/system/clock.ts';
import { retry } from '../../node-runtime/system/retry.ts';
import { isCiError } from '../../shared/errors.ts';

export type ObjectOperation = 'put' | 'get' | 'head' | 'list' | 'delete';

export interface MemoryObjectStoreOptions {
  readonly clock?: Clock;
  readonly chance?: Chance;
}

/** Objects in a map. `fault` can delay any operation, or fail it: `unavailable` is tried again, as the contract says. */
export class MemoryObjectStore implements ObjectStore {
  readonly objects = new Map<string, { bytes: Uint8Array; modified: number }>();
  /** Every operation that was done, in order. */
  readonly operations: { operation: ObjectOperation; key: string }[] = [];
  /** Called before an operation takes effect. */
  fault: (operation: ObjectOperation, key: string, signal: AbortSignal) => Promise<void> | void = () => undefined;
  readonly #clock: Clock;
  readonly #chance: Chance;

  constructor({ clock = systemClock, chance = systemChance }: MemoryObjectStoreOptions = {}) {
    this.#clock = clock;
    this.#chance = chance;
  }

  async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>, options: PutOptions): Promise<void> {
    const bytes = body instanceof Uint8Array ? Buffer.from(body) : Buffer.concat(await Array.fromAsync(body));
    await this.#do('put', key, options, () => {
      const there = this.objects.get(key);
      if (there !== undefined && !bytes.equals(there.bytes)) throw new Error(`Wrote other bytes over ${key}`);
      this.objects.set(key, { bytes, modified: this.#clock.now() });
    });
  }

  get(key: string, options: GetOptions): Promise<ObjectBody | undefined> {
    return this.#do('get', key, options, () => {
      const object = this.objects.get(key);
      const { start, end } = options.range ?? { start: 0 };
      return object && { size: object.bytes.length, bytes: parts(object.bytes.slice(start, end)) };
    });
  }

  head(key: string, options: ObjectCall): Promise<ObjectInfo | undefined> {
    return this.#do('head', key, options, () => this.#info(key));
  }

  async *list(prefix: string, options: ObjectCall & { readonly after?: string }): AsyncIterable<ObjectInfo> {
    const { after = '' } = options;
    const keys = await this.#do('list', prefix, options, () =>
      [...this.objects.keys()].filter(key => key.startsWith(prefix) && key > after).sort(),
    );
    for (const key of keys) {
      const info = this.#info(key);
      if (info !== undefined) yield info;
    }
  }

  async deleteMany(keys: readonly string[], options: ObjectCall): Promise<void> {
    await this.#do('delete', keys.join(' '), options, () => {
      for (const key of keys) this.objects.delete(key);
    });
  }

  presign(method: 'GET' | 'PUT', key: string, options: PresignOptions): Promise<string> {
    return Promise.resolve(`memory:${method}:${key}?seconds=${options.expiresSeconds}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #info(key: string): ObjectInfo | undefined {
    const object = this.objects.get(key);
    return object && { key, size: object.bytes.length, modified: object.modified };
  }

  #do<T>(operation: ObjectOperation, key: string, call: ObjectCall, effect: () => T): Promise<T> {
    const { signal, timeoutMs = 60_000 } = call;
    const attempt = async () => {
      signal.throwIfAborted();
      await this.fault(operation, key, signal);
      signal.throwIfAborted();
      this.operations.push({ operation, key });
      return effect();
    };
    return retry(attempt, {
      clock: this.#clock,
      chance: this.#chance,
      signal,
      isTransient: error => isCiError(error, 'unavailable'),
      limitMs: timeoutMs,
    });
  }
}

async function* parts(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}
