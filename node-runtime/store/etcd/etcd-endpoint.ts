import {
  type CallOptions,
  Channel,
  type ClientDuplexStream,
  type ClientOptions,
  connectivityState,
  InterceptingCall,
} from '@grpc/grpc-js';
import { Etcd3, type IOptions } from 'etcd3';
import { EtcdFailure, STATUS } from './etcd-failure.ts';
import { hostOf } from './endpoint-host.ts';
import { type EndpointCredentials, probeEndpoint } from './probe-endpoint.ts';
import { TlsCredentials } from './tls-credentials.ts';

/** What a call carries, besides its message. */
export interface EndpointCall {
  readonly signals: readonly AbortSignal[];
  /** Milliseconds since 1970; absent for streams without an end. */
  readonly deadline?: number;
  readonly token?: string;
  /** A member that has no leader refuses at once, and cuts the stream when it loses its leader. */
  readonly requireLeader?: boolean;
}

export type EtcdClient = Pick<Etcd3, 'kv' | 'leaseClient' | 'watchClient' | 'auth' | 'cluster' | 'maintenance'>;

/** etcd3's policies would repeat writes, and would refuse all calls for 5 s after one that failed. */
const NO_POLICY = {
  execute: async <T>(work: (context: unknown) => PromiseLike<T> | T): Promise<T> => await work({}),
} as unknown as NonNullable<NonNullable<IOptions['faultHandling']>['global']>;

/**
 * Pings find a dead connection within 13 s. etcd takes more than one in 5 s for an attack, and any on a connection without
 * calls; so there are none of those. A read of 500 large records
 * passes gRPC's default of 4 MB.
 */
const CHANNEL = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 3000,
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.enable_http_proxy': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2000,
} as const;

/** etcd3 as transport: its connection pool, messages and raw clients, for one address. */
class Transport extends Etcd3 {
  isReady(): Promise<boolean> {
    return this.pool.withConnection(
      'KV',
      ({ client }) => client.getChannel().getConnectivityState(true) === connectivityState.READY,
    );
  }

  connect(until: number): Promise<void> {
    return this.pool.withConnection(
      'KV',
      ({ client }) => new Promise((resolve, reject) => client.waitForReady(until, e => (e ? reject(e) : resolve()))),
    );
  }
}

/** Connections made so far by this process. */
let connections = 0;

/** How long a server may take to greet, in milliseconds. */
const GREETING_LIMIT_MS = 10_000;

/** One member of etcd, and the connection to it. */
export class EtcdEndpoint {
  readonly address: string;
  readonly #credentials: EndpointCredentials;
  #transport: Transport;
  #avoidedUntil = Number.NEGATIVE_INFINITY;
  /** The first time that it could not be connected to since it last was. */
  #unconnectedSince: number | undefined;
  #streams = new AbortController();
  #isClosed = false;

  constructor(address: string, credentials: EndpointCredentials) {
    this.address = address;
    this.#credentials = credentials;
    this.#transport = openTransport(address, credentials);
  }

  async isReady(): Promise<boolean> {
    const isReady = await this.#transport.isReady();
    if (isReady) this.#unconnectedSince = undefined;
    return isReady;
  }

  /** Resolves when it can be talked to. @param until milliseconds since 1970 */
  connect(until: number): Promise<void> {
    return this.#transport.connect(until);
  }

  /**
   * It could not be connected to just now. gRPC waits without end for the greeting of a server that has accepted a connection:
   * where one side's has been lost on the way, neither will say it again. So after a while it is begun anew.
   * @param now `Clock.monotonic`
   */
  noteUnconnected(now: number): void {
    this.#unconnectedSince ??= now;
    if (now - this.#unconnectedSince >= GREETING_LIMIT_MS) this.#reopen();
  }

  /** Fires when the member is to be avoided: its streams must move to another one, however well they seem. */
  get moving(): AbortSignal {
    return this.#streams.signal;
  }

  /** `Clock.monotonic` until when others are asked rather than this one. */
  get avoidedUntil(): number {
    return this.#avoidedUntil;
  }

  /** Its connection may be dead without knowing it, so that when it is asked again, that is on a new one. */
  avoidUntil(moment: number): void {
    this.#avoidedUntil = moment;
    this.#reopen();
  }

  #reopen(): void {
    if (this.#isClosed) return;
    this.#unconnectedSince = undefined;
    this.#streams.abort();
    this.#streams = new AbortController();
    this.#transport.close();
    this.#transport = openTransport(this.address, this.#credentials);
  }

  /** Fails with an EtcdFailure. */
  async call<T>(send: (client: EtcdClient, options: CallOptions) => Promise<T>, call: EndpointCall): Promise<T> {
    const attempt = this.#attempt(call);
    try {
      return await send(attempt.transport, attempt.options);
    } catch (error) {
      throw attempt.explain(error);
    }
  }

  /** What the server sends on a stream that the given call opens, until it ends. Fails with an EtcdFailure. */
  async *stream<Request, Reply>(
    open: (client: EtcdClient, options: CallOptions) => Promise<unknown>,
    request: Request,
    call: EndpointCall,
  ): AsyncGenerator<Reply> {
    const attempt = this.#attempt(call);
    let stream: ClientDuplexStream<Request, Reply> | undefined;
    try {
      stream = (await open(attempt.transport, attempt.options)) as ClientDuplexStream<Request, Reply>;
      // Reading it throws its errors; one that comes later must not end the process.
      stream.on('error', () => undefined);
      stream.write(request);
      for await (const reply of stream) yield reply as Reply;
    } catch (error) {
      throw attempt.explain(error);
    } finally {
      stream?.cancel();
    }
  }

  /** Why it cannot be connected to; `undefined` if it can. */
  probe(ms: number): Promise<string | undefined> {
    return probeEndpoint(this.address, this.#credentials, ms);
  }

  close(): void {
    this.#isClosed = true;
    this.#streams.abort();
    this.#transport.close();
  }

  #attempt(call: EndpointCall) {
    const transport = this.#transport;
    let failure: EtcdFailure | undefined;
    const options = this.#options(call, (status, details) => {
      failure = new EtcdFailure(status, details, this.address);
    });
    const explain = (error: unknown): unknown => {
      if (failure) return failure;
      // etcd3 refuses to use a connection that has been given up meanwhile.
      if (transport === this.#transport && !this.#isClosed) return error;
      return new EtcdFailure(STATUS.unavailable, 'the connection was given up', this.address);
    };
    return { transport, options, explain };
  }

  /**
   * Failures are noted here, as gRPC tells them, and shown to etcd3 as one that it does nothing about: it would close the
   * connections of other calls, or ask again without end when a token is refused.
   */
  #options(call: EndpointCall, onFailure: (status: number, details: string) => void): CallOptions {
    const interceptor: NonNullable<CallOptions['interceptors']>[number] = (options, next) => {
      const cancel = () => inner.cancelWithStatus(STATUS.cancelled, 'the call was given up');
      const inner = new InterceptingCall(next(options), {
        start(metadata, _listener, start) {
          if (call.token) metadata.set('token', call.token);
          if (call.requireLeader) metadata.set('hasleader', 'true');
          start(metadata, {
            onReceiveStatus(status, pass) {
              for (const signal of call.signals) signal.removeEventListener('abort', cancel);
              if (status.code === 0) return pass(status);
              onFailure(status.code, status.details);
              pass({ ...status, code: STATUS.failedPrecondition, details: 'see the failure noted' });
            },
          });
          for (const signal of call.signals) signal.addEventListener('abort', cancel, { once: true });
          if (call.signals.some(signal => signal.aborted)) queueMicrotask(cancel);
        },
      });
      return inner;
    };
    return { interceptors: [interceptor], ...(call.deadline !== undefined && { deadline: call.deadline }) };
  }
}

function openTransport(address: string, credentials: EndpointCredentials): Transport {
  const isTls = address.startsWith('https:');
  return new Transport({
    // Without the scheme, so that etcd3 makes no credentials of its own.
    hosts: address.replace(/^https?:\/\//, ''),
    // gRPC lets channels with the same options share a connection, also one that hangs: each transport is to have its own.
    grpcOptions: {
      ...CHANNEL,
      'grpc.primary_user_agent': `simple-ci/${++connections}`,
      ...(isTls && { channelFactoryOverride: secureChannels(hostOf(address), credentials) }),
    },
    faultHandling: { host: () => NO_POLICY, global: NO_POLICY },
  });
}

function secureChannels(host: string, given: EndpointCredentials): ClientOptions['channelFactoryOverride'] {
  const credentials = new TlsCredentials(host, given);
  return (target, _insecure, options) => new Channel(target, credentials, options);
}

/** For a stream that is used for one question. */
export async function firstReply<Reply>(opened: unknown, request: unknown): Promise<Reply> {
  const stream = opened as ClientDuplexStream<unknown, Reply>;
  try {
    return await new Promise<Reply>((resolve, reject) => {
      stream.on('data', resolve).on('error', reject);
      stream.on('end', () => reject(new Error('The stream ended without a reply')));
      stream.write(request);
    });
  } finally {
    stream.cancel();
  }
}
