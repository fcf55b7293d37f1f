import type { CallOptions } from '@grpc/grpc-js';
import { CiError } from '../../../shared/errors.ts';
import type { Chance } from '../../system/chance.ts';
import { type Clock, deadline } from '../../system/clock.ts';
import type { EtcdOptions } from '../etcd-options.ts';
import type { Call } from '../store.ts';
import { type EtcdClient, EtcdEndpoint } from './etcd-endpoint.ts';
import { EtcdFailure, STATUS } from './etcd-failure.ts';
import { readCredentials } from './read-credentials.ts';

/** How long the members may take to be connected to before a call gives up, in milliseconds. */
const CONNECT_MS = 2000;
/** A call that got no answer for at least this long says something about the member, not only about its caller's patience. */
const TELLING_MS = 1000;
const PROBE_MS = 500;
const AVOID_MS = 5000;
/** How long a member may take to answer that a stream stands. */
const STREAM_START_MS = 3000;

export interface ConnectionParts {
  readonly clock: Clock;
  readonly chance: Chance;
}

/**
 * The way to a cluster of etcd members. One of them is asked, and the same one until it fails; then the next. A request is
 * sent once, to a member that is connected: which failures mean that nothing was done stays clear.
 */
export class EtcdConnection {
  /** In the order in which they are tried; the one now in use comes first. */
  #endpoints: readonly EtcdEndpoint[];
  readonly #auth: EtcdOptions['auth'];
  readonly #clock: Clock;
  #token: Promise<string> | undefined;
  /** The last one that was presented. */
  #tokenText = '';
  readonly #closed = new AbortController();

  private constructor(endpoints: readonly EtcdEndpoint[], auth: EtcdOptions['auth'], clock: Clock) {
    this.#endpoints = endpoints;
    this.#auth = auth;
    this.#clock = clock;
  }

  /** Connects, and presents user and password. Fails with `unavailable`, `unauthenticated` or `invalid`. */
  static async open(options: EtcdOptions, { clock, chance }: ConnectionParts, call: Call): Promise<EtcdConnection> {
    const credentials = await readCredentials(options.tls);
    // In another order on each node, so that members share the work.
    const order = options.endpoints.map(address => ({ address, place: chance.random() }));
    order.sort((a, b) => a.place - b.place);
    const endpoints = order.map(({ address }) => new EtcdEndpoint(address, credentials));
    const connection = new EtcdConnection(endpoints, options.auth, clock);
    try {
      await connection.#authorize('connect to etcd', await connection.#connected(call), call);
    } catch (error) {
      connection.close();
      throw error instanceof EtcdFailure ? error.toCiError('connect to etcd') : error;
    }
    return connection;
  }

  get isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Fails with an EtcdFailure of the request itself, a CiError when it was not even sent, or the signal's reason. */
  async call<T>(what: string, call: Call, send: (client: EtcdClient, options: CallOptions) => Promise<T>): Promise<T> {
    const end = this.#clock.monotonic() + call.timeoutMs;
    const endpoint = await this.#connected(call);
    const token = await this.#authorize(what, endpoint, call);
    try {
      return await this.#send(endpoint, token, end, call, send);
    } catch (error) {
      call.signal.throwIfAborted();
      if (!(error instanceof EtcdFailure) || !error.isTokenRefused || !this.#auth) throw error;
      this.forgetToken(token);
      return await this.#send(endpoint, await this.#authorize(what, endpoint, call), end, call, send);
    }
  }

  /** The replies of a stream that lasts until its signal fires, the member fails or has to be left. */
  async *stream<Request, Reply>(
    open: (client: EtcdClient, options: CallOptions) => Promise<unknown>,
    request: Request,
    signal: AbortSignal,
  ): AsyncGenerator<Reply> {
    const call = { signal, timeoutMs: CONNECT_MS };
    const endpoint = await this.#connected(call);
    const token = await this.#authorize('open a stream', endpoint, call);
    using start = deadline(this.#clock, STREAM_START_MS, signal);
    let isStarted = false;
    const giveUp = new AbortController();
    start.signal.addEventListener('abort', () => isStarted || giveUp.abort(), { once: true });
    const { moving } = endpoint;
    const signals = [signal, moving, giveUp.signal, this.#closed.signal];
    try {
      for await (const reply of endpoint.stream<Request, Reply>(open, request, {
        signals,
        token,
        requireLeader: true,
      })) {
        if (!isStarted) {
          isStarted = true;
          start[Symbol.dispose]();
        }
        yield reply;
      }
    } catch (error) {
      if (!signal.aborted && error instanceof EtcdFailure && error.isUnclear) this.#avoid(endpoint, moving);
      throw error;
    }
  }

  get hasAuth(): boolean {
    return this.#auth !== undefined;
  }

  /** The next call presents user and password anew. Of many calls whose token was refused, only the first is heard. */
  forgetToken(refused = this.#tokenText): void {
    if (refused === this.#tokenText) this.#token = undefined;
  }

  close(): void {
    this.#closed.abort();
    for (const endpoint of this.#endpoints) endpoint.close();
  }

  async #send<T>(
    endpoint: EtcdEndpoint,
    token: string,
    end: number,
    call: Call,
    send: (client: EtcdClient, options: CallOptions) => Promise<T>,
  ): Promise<T> {
    const left = Math.max(1, end - this.#clock.monotonic());
    const signals = [call.signal, this.#closed.signal];
    const { moving } = endpoint;
    try {
      return await endpoint.call(send, { signals, deadline: this.#clock.now() + left, token });
    } catch (error) {
      if (error instanceof EtcdFailure && saysMemberFailed(error, call)) this.#avoid(endpoint, moving);
      throw error;
    }
  }

  /** A member that is connected now; waits for the first that is, up to 2 s. */
  async #connected(call: Call): Promise<EtcdEndpoint> {
    call.signal.throwIfAborted();
    if (this.isClosed) throw new CiError('unavailable', 'Cannot reach etcd as the store is closed');
    const candidates = this.#candidates();
    for (const endpoint of candidates) {
      if (await endpoint.isReady()) return endpoint;
    }
    const until = this.#clock.now() + Math.min(CONNECT_MS, call.timeoutMs);
    const attempts = candidates.map(endpoint => endpoint.connect(until).then(() => endpoint));
    const first = await untilAborted(
      Promise.any(attempts).catch(() => undefined),
      call.signal,
    );
    if (first) return this.#prefer(first);
    for (const endpoint of candidates) endpoint.noteUnconnected(this.#clock.monotonic());
    throw await this.#unreachable(candidates);
  }

  #candidates(): readonly EtcdEndpoint[] {
    const now = this.#clock.monotonic();
    const fit = this.#endpoints.filter(endpoint => endpoint.avoidedUntil <= now);
    return fit.length > 0 ? fit : this.#endpoints;
  }

  #prefer(endpoint: EtcdEndpoint): EtcdEndpoint {
    this.#endpoints = [endpoint, ...this.#endpoints.filter(other => other !== endpoint)];
    return endpoint;
  }

  /**
   * Its place is then the last, so that it is not returned to until another one fails.
   * @param moving the endpoint's signal from before the failure: of many calls that fail together only the first decides
   */
  #avoid(endpoint: EtcdEndpoint, moving: AbortSignal): void {
    if (moving.aborted || this.isClosed) return;
    this.#endpoints = [...this.#endpoints.filter(other => other !== endpoint), endpoint];
    endpoint.avoidUntil(this.#clock.monotonic() + AVOID_MS);
  }

  async #unreachable(endpoints: readonly EtcdEndpoint[]): Promise<CiError> {
    const reasons = await Promise.all(endpoints.map(endpoint => this.#whyNot(endpoint)));
    return new CiError('unavailable', `Cannot reach etcd at any of its addresses: ${reasons.join('; ')}`);
  }

  /** Waiting for a connection does not tell why there is none. */
  async #whyNot(endpoint: EtcdEndpoint): Promise<string> {
    const reason = await endpoint.probe(PROBE_MS);
    return `${endpoint.address} (${reason ?? 'answers too slowly'})`;
  }

  /** The token to present, empty where none is needed. One request for it however many calls wait. */
  async #authorize(what: string, endpoint: EtcdEndpoint, call: Call): Promise<string> {
    if (!this.#auth) return '';
    this.#token ??= this.#authenticate(this.#auth, endpoint);
    const token = this.#token;
    try {
      this.#tokenText = await untilAborted(token, call.signal);
      return this.#tokenText;
    } catch (error) {
      if (this.#token === token) this.#token = undefined;
      call.signal.throwIfAborted();
      // Not having a token is not having sent anything.
      throw error instanceof EtcdFailure ? error.toCiError(what) : error;
    }
  }

  async #authenticate(auth: NonNullable<EtcdOptions['auth']>, endpoint: EtcdEndpoint): Promise<string> {
    const call = { signals: [this.#closed.signal], deadline: this.#clock.now() + STREAM_START_MS };
    const request = { name: auth.user, password: auth.password };
    const { moving } = endpoint;
    try {
      return (await endpoint.call((client, options) => client.auth.authenticate(request, options), call)).token;
    } catch (error) {
      // An etcd that wants no passwords is one that lets us in.
      if (error instanceof EtcdFailure && /authentication is not enabled/.test(error.details)) return '';
      if (error instanceof EtcdFailure && error.isUnclear) this.#avoid(endpoint, moving);
      throw error;
    }
  }
}

function saysMemberFailed(failure: EtcdFailure, call: Call): boolean {
  if (failure.status === STATUS.deadlineExceeded) return call.timeoutMs >= TELLING_MS;
  return failure.isUnclear && failure.status !== STATUS.cancelled;
}

/** Ends the waiting, not what is waited for. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
