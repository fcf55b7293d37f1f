import type { S3Client } from '@aws-sdk/client-s3';
import type { Chance } from '../system/chance.ts';
import { type Clock, deadline } from '../system/clock.ts';
import { retry } from '../system/retry.ts';
import { checkObjectKey } from './object-key.ts';
import type { ObjectCall } from './object-store.ts';
import { describeS3Address, type S3Options } from './s3-address.ts';
import { isTransientFailure, translateS3Failure } from './s3-error.ts';

export interface S3StoreOptions {
  readonly address: S3Options;
  readonly clock: Clock;
  readonly chance: Chance;
  /** Default: the SDK's own chain: environment, ~/.aws, web identity, instance role. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

type Sdk = typeof import('@aws-sdk/client-s3');

/** What a request is made with. The signal ends with the call's and at its time limit. */
export interface Request {
  readonly sdk: Sdk;
  readonly client: S3Client;
  readonly signal: AbortSignal;
}

/** How S3 names an object. */
export interface S3Object {
  readonly Bucket: string;
  readonly Key: string;
}

export const DEFAULT_TIMEOUT_MS = 60_000;
/** A connection on which nothing moves for this long is given up, and the request tried anew. */
const IDLE_MS = 20_000;
const CONNECT_MS = 5_000;
const MOST_CONNECTIONS = 64;

/**
 * Requests to one bucket: each is repeated while that may help, within its time, and fails in our own words. The SDK is
 * loaded at the first one (60 ms), not when this file is imported.
 *
 * Its own retries are off: they cover only half a second, and share a budget that many writers use up at once.
 */
export class S3Connection {
  readonly address: S3Options;
  readonly clock: Clock;
  readonly #options: S3StoreOptions;
  #loaded: Promise<Omit<Request, 'signal'>> | undefined;

  constructor(options: S3StoreOptions) {
    this.#options = options;
    this.address = options.address;
    this.clock = options.clock;
  }

  /**
   * Sends a request that is safe to repeat until it works, fails for good, or `timeoutMs` are over.
   * @param attempt for the message, such as `put object "a/b"`
   */
  async call<T>(attempt: string, { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: ObjectCall, send: Send<T>): Promise<T> {
    signal.throwIfAborted();
    const { clock, chance } = this.#options;
    using limit = deadline(clock, timeoutMs, signal);
    let lastFailure: unknown;
    const once = async () => {
      try {
        return await send({ ...(await this.#load()), signal: limit.signal });
      } catch (error) {
        // What the time limit cut off tells nothing; the failure before it does.
        if (!limit.signal.aborted) lastFailure = error;
        throw error;
      }
    };
    const isTransient = isTransientFailure;
    try {
      return await retry(once, { clock, chance, signal: limit.signal, isTransient, limitMs: timeoutMs });
    } catch (error) {
      signal.throwIfAborted();
      throw this.translate(attempt, limit.signal.aborted ? (lastFailure ?? limit.signal.reason) : error);
    }
  }

  translate(attempt: string, error: unknown): unknown {
    return translateS3Failure(attempt, describeS3Address(this.address), this.clock.now(), error);
  }

  object(key: string): S3Object {
    const { bucket, prefix } = this.address;
    checkObjectKey(prefix + key);
    return { Bucket: bucket, Key: prefix + key };
  }

  /** A moment before another try, not the same for all. */
  async pause(signal: AbortSignal): Promise<void> {
    await this.clock.sleep(50 + 100 * this.#options.chance.random(), signal);
  }

  async close(): Promise<void> {
    (await this.#loaded)?.client.destroy();
  }

  #load(): Promise<Omit<Request, 'signal'>> {
    this.#loaded ??= import('@aws-sdk/client-s3').then(sdk => ({ sdk, client: newClient(sdk, this.#options) }));
    return this.#loaded;
  }
}

export type Send<T> = (request: Request) => Promise<T>;

function newClient(sdk: Sdk, { address, credentials }: S3StoreOptions): S3Client {
  const agent = { keepAlive: true, maxSockets: MOST_CONNECTIONS };
  return new sdk.S3Client({
    region: address.region,
    forcePathStyle: address.pathStyle,
    ...(address.endpoint === undefined ? { followRegionRedirects: true } : { endpoint: address.endpoint }),
    ...(credentials && { credentials }),
    maxAttempts: 1,
    // Anything else makes stream uploads and presigned PUTs that many servers refuse or, worse, store wrongly.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // It would open a new connection for each large body.
    expectContinueHeader: false,
    requestHandler: {
      httpAgent: agent,
      httpsAgent: agent,
      connectionTimeout: CONNECT_MS,
      socketTimeout: IDLE_MS,
      throwOnRequestTimeout: true,
      logger: SILENT,
    },
  });
}

const SILENT = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };
