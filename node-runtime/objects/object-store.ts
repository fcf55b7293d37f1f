/**
 * Bytes under keys. A key is written once and never written over with other bytes; listing is a hint, never the truth of
 * what belongs together (that is in the coordination store or in a manifest).
 *
 * Transient failures (refused and cut connections, 5xx, throttling, slowness) are retried inside, with jitter and within
 * `timeoutMs`; after that, and for refusals, the call rejects with a CiError: `unavailable`, `unauthenticated`, `forbidden`,
 * `not-found` (no such bucket), `too-large`. A call that its signal ends rejects with the signal's reason.
 */
export interface ObjectStore extends AsyncDisposable {
  /**
   * Stores all of the bytes or, if it fails or is interrupted, nothing that anyone can see. Putting the same bytes again is
   * safe. A stream is read once, in parts: what it yields is kept in memory until it is stored, at most 32 MiB.
   */
  put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>, options: PutOptions): Promise<void>;
  /** The bytes, or those of the range; undefined if there is no such object. A cut connection is resumed where it was cut. */
  get(key: string, options: GetOptions): Promise<ObjectBody | undefined>;
  head(key: string, options: ObjectCall): Promise<ObjectInfo | undefined>;
  /** Keys with the prefix in the order of their bytes, those after `after` only. */
  list(prefix: string, options: ObjectCall & { readonly after?: string }): AsyncIterable<ObjectInfo>;
  /** Keys that do not exist are no error. Any number of keys. */
  deleteMany(keys: readonly string[], options: ObjectCall): Promise<void>;
  /** An address with which anyone can get or put this one object for a while, without credentials. */
  presign(method: 'GET' | 'PUT', key: string, options: PresignOptions): Promise<string>;
}

export interface ObjectCall {
  readonly signal: AbortSignal;
  /** Milliseconds for the call with all its retries. Default: 60 s; for streams: 60 s without progress. */
  readonly timeoutMs?: number;
}

export interface PutOptions extends ObjectCall {
  readonly contentType?: string;
}

export interface GetOptions extends ObjectCall {
  /** From `start` up to but without `end`; an `end` past the last byte is the last byte. A start past it gives an empty body. */
  readonly range?: { readonly start: number; readonly end?: number };
}

export interface ObjectInfo {
  readonly key: string;
  readonly size: number;
  /** Milliseconds since 1970 by the store's clock. */
  readonly modified: number;
}

export interface ObjectBody {
  /** Of the whole object, whatever the range. */
  readonly size: number;
  readonly bytes: AsyncIterable<Uint8Array>;
}

export interface PresignOptions extends ObjectCall {
  readonly expiresSeconds: number;
  /** GET only: the name under which a browser saves it. */
  readonly downloadName?: string;
  /** GET only: the type with which it is served. */
  readonly contentType?: string;
}
