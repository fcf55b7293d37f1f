import { checkObjectKey, compareKeys } from '../../node-runtime/objects/object-key.ts';
import type {
  GetOptions,
  ObjectBody,
  ObjectCall,
  ObjectInfo,
  ObjectStore,
  PresignOptions,
  PutOptions,
} from '../../node-runtime/objects/object-store.ts';
import { type AddressSigner, signAddress } from '../../node-runtime/objects/signed-address.ts';
import { isTransientFailure, translateS3Failure } from '../../node-runtime/objects/s3-error.ts';
import { orAborted, untilAborted } from '../../node-runtime/objects/until-aborted.ts';
import { type Chance, systemChance } from '../../node-runtime/system/chance.ts';
import { type Clock, systemClock } from '../../node-runtime/system/clock.ts';
import { retry } from '../../node-runtime/system/retry.ts';
import { isCiError } from '../../shared/errors.ts';

export type ObjectOperation = 'put' | 'get' | 'head' | 'list' | 'delete';

export interface StoredObject {
  readonly bytes: Uint8Array;
  readonly modified: number;
}

export interface MemoryObjectStoreOptions {
  readonly clock?: Clock;
  readonly chance?: Chance;
  /** Where they are kept, if other clients of the same store are to see them. */
  readonly objects?: Map<string, StoredObject>;
  /** Has something done at the store, and brings the answer. Default: at once. */
  readonly carry?: Carry;
  /** Makes addresses that work, if somebody serves them. */
  readonly signer?: AddressSigner;
  /** Bytes that come in one piece; a connection may be cut between two of them. */
  readonly partBytes?: number;
  /** Told when one was cut there: what is read goes on in its middle. */
  readonly onBodyCut?: () => void;
}

/** Rejects as a client of S3 does: what may be tried again is what the product's own rules say of it; and `unavailable`. */
export type Carry = <T>(operation: ObjectOperation, key: string, effect: () => T, signal: AbortSignal) => Promise<T>;

const PART_BYTES = 65_536;

/**
 * Objects in a map. `fault` can delay any operation, or fail it: `unavailable` is tried again, as the contract says. What is read
 * comes in parts, each an operation of its own: a connection that was cut is resumed there.
 */
export class MemoryObjectStore implements ObjectStore {
  readonly objects: Map<string, StoredObject>;
  /** Every operation that was done, in order. */
  readonly operations: { operation: ObjectOperation; key: string }[] = [];
  /** Called before an operation takes effect. */
  fault: (operation: ObjectOperation, key: string, signal: AbortSignal) => Promise<void> | void = () => undefined;
  readonly #clock: Clock;
  readonly #chance: Chance;
  readonly #carry: Carry;
  readonly #signer: AddressSigner | undefined;
  readonly #partBytes: number;
  readonly #onBodyCut: () => void;

  constructor(options: MemoryObjectStoreOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#chance = options.chance ?? systemChance;
    this.objects = options.objects ?? new Map();
    this.#carry = options.carry ?? (async (_operation, _key, effect) => effect());
    this.#signer = options.signer;
    this.#partBytes = options.partBytes ?? PART_BYTES;
    this.#onBodyCut = options.onBodyCut ?? (() => undefined);
  }

  async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>, options: PutOptions): Promise<void> {
    checkObjectKey(key);
    const bytes = body instanceof Uint8Array ? Buffer.from(body) : await collect(body, options.signal);
    await this.#do('put', key, options, () => {
      const there = this.objects.get(key);
      if (there !== undefined && !bytes.equals(there.bytes)) throw new Error(`Wrote other bytes over ${key}`);
      this.objects.set(key, { bytes, modified: this.#clock.now() });
    });
  }

  async get(key: string, options: GetOptions): Promise<ObjectBody | undefined> {
    checkObjectKey(key);
    const { start, end } = options.range ?? { start: 0 };
    return this.#do('get', key, options, () => {
      const object = this.objects.get(key);
      if (object === undefined) return undefined;
      const wanted = object.bytes.subarray(start, end);
      return { size: object.bytes.length, bytes: this.#parts(key, wanted, options) };
    });
  }

  async head(key: string, options: ObjectCall): Promise<ObjectInfo | undefined> {
    checkObjectKey(key);
    return this.#do('head', key, options, () => this.#info(key));
  }

  async *list(prefix: string, options: ObjectCall & { readonly after?: string }): AsyncIterable<ObjectInfo> {
    const { after } = options;
    const infos = await this.#do('list', prefix, options, () =>
      [...this.objects.keys()]
        .filter(key => key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0))
        .sort(compareKeys)
        .map(key => this.#info(key)!),
    );
    yield* infos;
  }

  async deleteMany(keys: readonly string[], options: ObjectCall): Promise<void> {
    await this.#do('delete', keys.join(' '), options, () => {
      for (const key of keys) this.objects.delete(key);
    });
  }

  async presign(method: 'GET' | 'PUT', key: string, options: PresignOptions): Promise<string> {
    const { expiresSeconds, downloadName, contentType } = options;
    if (!this.#signer) return `memory:${method}:${key}?seconds=${expiresSeconds}`;
    const expires = Math.floor(this.#clock.now() / 1000) + expiresSeconds;
    const named = {
      ...(downloadName !== undefined && { downloadName }),
      ...(contentType !== undefined && { contentType }),
    };
    return signAddress(this.#signer, { method, key, expires, ...named });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #info(key: string): ObjectInfo | undefined {
    const object = this.objects.get(key);
    return object && { key, size: object.bytes.length, modified: object.modified };
  }

  async *#parts(key: string, bytes: Uint8Array, call: ObjectCall): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += this.#partBytes) {
      const part = () => bytes.subarray(at, at + this.#partBytes);
      // The first came with the answer.
      yield at === 0 ? part() : await this.#do('get', key, call, part, this.#onBodyCut);
      call.signal.throwIfAborted();
    }
  }

  #do<T>(
    operation: ObjectOperation,
    key: string,
    call: ObjectCall,
    effect: () => T,
    onFailure: () => void = () => undefined,
  ): Promise<T> {
    const { signal, timeoutMs = 60_000 } = call;
    const atStore = () => {
      this.operations.push({ operation, key });
      return effect();
    };
    const attempt = async () => {
      signal.throwIfAborted();
      await this.fault(operation, key, signal);
      signal.throwIfAborted();
      return this.#carry(operation, key, atStore, signal);
    };
    const tries = retry(attempt, {
      clock: this.#clock,
      chance: this.#chance,
      signal,
      isTransient: error => {
        if (!isCiError(error, 'unavailable') && !isTransientFailure(error)) return false;
        onFailure();
        return true;
      },
      limitMs: timeoutMs,
    });
    return tries.catch(error => {
      if (!isTransientFailure(error)) throw error;
      throw translateS3Failure(`${operation} object "${key}"`, 'the model', this.#clock.now(), error);
    });
  }
}

async function collect(body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Buffer> {
  return Buffer.concat(await orAborted(Array.fromAsync(untilAborted(body, signal)), signal));
}
