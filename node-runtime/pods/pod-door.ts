import { constants, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { CiError } from '../../shared/errors.ts';
import { orAborted } from '../objects/until-aborted.ts';
import { type Greeting, parseGreeting, PSK_TLS, type Role } from './pod-messages.ts';

/** How long the handshake, and then the greeting, may take, in milliseconds. */
const GREETING_LIMIT_MS = 10_000;
/** How many connections there may be from one address at a time: a pod uses two or three. */
const MOST_OF_ONE_ADDRESS = 128;
/** Longer than any greeting. */
const LINE_BYTES = 100;
const KEEP_ALIVE_MS = 15_000;

/**
 * Where pods of tasks connect to their node. Nobody is let in but a pod that is expected, by a secret of its own. Its first
 * connection of a role is the only one; further ones carry one stream each, under a name that the first was told.
 */
export class PodDoor implements AsyncDisposable {
  readonly #server: Server;
  readonly #greetingLimitMs: number;
  readonly #visits = new Map<string, Visit>();
  readonly #sockets = new Set<Socket>();
  readonly #counts = new Map<string | undefined, number>();
  /** Whose secret a connection has to know: it has proved that by the time it is greeted. */
  readonly #claimed = new WeakMap<object, Visit>();

  static async open(
    listen: { readonly host: string; readonly port: number },
    greetingLimitMs = GREETING_LIMIT_MS,
  ): Promise<PodDoor> {
    const door = new PodDoor(greetingLimitMs);
    try {
      door.#server.listen(listen.port, listen.host);
      await once(door.#server, 'listening');
    } catch (cause) {
      throw new CiError('invalid', `Cannot listen to the pods of tasks at ${listen.host}:${listen.port}`, { cause });
    }
    return door;
  }

  private constructor(greetingLimitMs: number) {
    this.#greetingLimitMs = greetingLimitMs;
    const pskCallback = (socket: TLSSocket, name: string) => {
      // It may offer several names, and sessions: only a name whose secret it is asked for now says who it is.
      const visit = this.#visits.get(name);
      if (visit) this.#claimed.set(socket, visit);
      else this.#claimed.delete(socket);
      return visit?.key ?? null;
    };
    const options = {
      ...PSK_TLS,
      secureOptions: constants.SSL_OP_NO_TICKET,
      pskCallback,
      handshakeTimeout: greetingLimitMs,
      allowHalfOpen: true,
    };
    this.#server = createServer(options, socket => this.#greet(socket));
    // Node leaves one open whose handshake takes too long.
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy());
    this.#server.prependListener('connection', (socket: Socket) => this.#count(socket));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Lets a pod in from now on, until it is disposed of. */
  expect(name: string): Visit {
    const visit = new Visit(() => this.#visits.delete(name));
    this.#visits.set(name, visit);
    return visit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const visit of [...this.#visits.values()]) visit[Symbol.dispose]();
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #count(socket: Socket): void {
    const { remoteAddress } = socket;
    const count = (this.#counts.get(remoteAddress) ?? 0) + 1;
    this.#counts.set(remoteAddress, count);
    this.#sockets.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      const rest = (this.#counts.get(remoteAddress) ?? 0) - 1;
      if (rest > 0) this.#counts.set(remoteAddress, rest);
      else this.#counts.delete(remoteAddress);
    });
    if (count > MOST_OF_ONE_ADDRESS) socket.destroy();
  }

  #greet(socket: TLSSocket): void {
    socket.on('error', () => socket.destroy());
    socket.setTimeout(this.#greetingLimitMs, () => socket.destroy());
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.setNoDelay(true);
    const onReadable = () => {
      const bytes: Buffer | null = socket.read();
      if (bytes === null) return;
      const at = bytes.indexOf(10);
      if (at < 0 && bytes.length <= LINE_BYTES) return socket.unshift(bytes);
      socket.off('readable', onReadable);
      socket.setTimeout(0);
      if (at + 1 < bytes.length) socket.unshift(bytes.subarray(at + 1));
      const greeting = at < 0 ? undefined : parseGreeting(bytes.subarray(0, at).toString('latin1'));
      if (!greeting || !this.#claimed.get(socket)?.admit(greeting, socket)) socket.destroy();
    };
    socket.on('readable', onReadable);
  }
}

/** The connections of one pod. */
export class Visit implements Disposable {
  readonly key = randomBytes(32);
  readonly #forget: () => void;
  readonly #controls: Readonly<Record<Role, Awaited>> = { prepare: new Awaited(), task: new Awaited() };
  readonly #streams = new Map<string, Awaited>();

  constructor(forget: () => void) {
    this.#forget = forget;
  }

  /** The one connection by which its container in that role is told what to do. */
  control(role: Role, signal: AbortSignal): Promise<TLSSocket> {
    return orAborted(this.#controls[role].socket, signal);
  }

  /** A name that no one can guess, and the connection that comes under it. */
  stream(): { readonly id: string; readonly socket: Promise<TLSSocket> } {
    const id = randomBytes(16).toString('hex');
    const awaited = new Awaited();
    this.#streams.set(id, awaited);
    return { id, socket: awaited.socket };
  }

  admit(greeting: Greeting, socket: TLSSocket): boolean {
    if (greeting.kind === 'control') return this.#controls[greeting.role].take(socket);
    const stream = this.#streams.get(greeting.id);
    this.#streams.delete(greeting.id);
    return stream?.take(socket) ?? false;
  }

  /** Closes all its connections. */
  [Symbol.dispose](): void {
    this.#forget();
    for (const awaited of [...Object.values(this.#controls), ...this.#streams.values()]) awaited.giveUp();
  }
}

/** A connection that comes once, or never. */
class Awaited {
  readonly #arrival = Promise.withResolvers<TLSSocket>();
  #state: TLSSocket | 'awaited' | 'given up' = 'awaited';

  constructor() {
    this.#arrival.promise.catch(() => undefined);
  }

  get socket(): Promise<TLSSocket> {
    return this.#arrival.promise;
  }

  take(socket: TLSSocket): boolean {
    if (this.#state !== 'awaited') return false;
    this.#state = socket;
    this.#arrival.resolve(socket);
    return true;
  }

  giveUp(): void {
    if (typeof this.#state !== 'string') this.#state.destroy();
    this.#state = 'given up';
    this.#arrival.reject(new CiError('unavailable', 'Cannot reach the pod of the task as it is gone'));
  }
}
