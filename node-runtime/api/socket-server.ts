import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  DEAD_AFTER_MS,
  HEARTBEAT_MS,
  MAX_CLIENT_MESSAGE_BYTES,
  SOCKET_PATH,
  SOCKET_PROTOCOL,
} from '../../shared/socket-protocol.ts';
import { CiError } from '../../shared/errors.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { deadline, neverAborted } from '../system/clock.ts';
import type { AccessControl } from './access.ts';
import { refuseRaw } from './refuse-raw.ts';
import { authorize, type Principal } from './authorize.ts';
import { NodeFeed } from './node-feed.ts';
import type { Guard } from './request-guard.ts';
import { CLOSE_CODES, type SessionParts, SocketSession } from './socket-session.ts';

export type SocketServerParts = Omit<SessionParts, 'clock' | 'watchNodes'> & {
  readonly cluster: Cluster;
  readonly access: AccessControl;
};

/** How often sockets are looked after: whether they are alive, and whether their principals may still be here. */
const ROUND_MS = 5000;
/** A closing handshake that takes longer is cut. */
const CLOSE_WITHIN_MS = 1000;

/** The WebSockets of this node: who may open one, and for how long it stays. */
export class SocketServer {
  readonly #parts: SocketServerParts;
  readonly #guard: Guard;
  readonly #nodes: NodeFeed;
  readonly #sessions = new Set<SocketSession>();
  readonly #stopped = new AbortController();
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_CLIENT_MESSAGE_BYTES,
    perMessageDeflate: false,
    handleProtocols: offered => (offered.has(SOCKET_PROTOCOL) ? SOCKET_PROTOCOL : false),
  });
  #rounds: Promise<void> | undefined;
  #lastBeat = 0;

  constructor(parts: SocketServerParts, guard: Guard) {
    this.#parts = parts;
    this.#guard = guard;
    this.#nodes = new NodeFeed(parts.cluster);
  }

  /** Begins to look after the sockets that there will be. */
  start(): void {
    this.#rounds ??= this.#lookAfter();
  }

  /** Takes or refuses a request for a WebSocket. Never rejects. */
  async upgrade(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const cut = () => socket.destroy();
    socket.on('error', cut);
    try {
      const principal = await this.#admit(request);
      socket.off('error', cut);
      if (socket.destroyed) return;
      this.#server.handleUpgrade(request, socket, head, opened => this.#open(opened, principal));
    } catch (error) {
      const requestId = refuseRaw(socket, error);
      this.#parts.logger.info('A WebSocket was refused', { requestId, error });
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new CiError('unavailable', 'Cannot go on as the node is stopping'));
    await this.#rounds;
    for (const session of this.#sessions) session.close(CLOSE_CODES.stopping, 'the node is stopping');
    using limit = deadline(this.#parts.cluster.clock, CLOSE_WITHIN_MS, neverAborted);
    await Promise.all([...this.#sessions].map(({ socket }) => closed(socket, limit.signal)));
    await this.#nodes.stop();
  }

  async #admit(request: IncomingMessage): Promise<Principal> {
    const { access } = this.#parts;
    this.#guard(request.headers);
    if (this.#stopped.signal.aborted) throw this.#stopped.signal.reason;
    if (request.url?.split('?')[0] !== SOCKET_PATH)
      throw new CiError('not-found', `Cannot open a WebSocket here: there is one at ${SOCKET_PATH}`);
    const ticket = ticketOf(request.headers['sec-websocket-protocol']);
    const principal = ticket
      ? await access.useTicket(ticket)
      : await access.authenticate(request.headers.authorization, request.socket.remoteAddress ?? '');
    authorize(principal, 'viewer');
    if (!(await access.isStillValid(principal)))
      throw new CiError('unauthenticated', 'Cannot open a WebSocket as the token was revoked or has expired');
    return principal;
  }

  #open(socket: WebSocket, principal: Principal): void {
    const { cluster, metrics } = this.#parts;
    const watchNodes = (signal: AbortSignal) => this.#nodes.follow(signal);
    const session = new SocketSession(socket, principal, { ...this.#parts, clock: cluster.clock, watchNodes });
    this.#sessions.add(session);
    metrics.sockets.inc();
    socket.once('close', () => {
      this.#sessions.delete(session);
      metrics.sockets.dec();
    });
  }

  async #lookAfter(): Promise<void> {
    const { clock } = this.#parts.cluster;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await clock.sleep(ROUND_MS, signal).catch(() => undefined);
      if (!signal.aborted) await this.#round(clock.monotonic());
    }
  }

  async #round(now: number): Promise<void> {
    const isBeat = now - this.#lastBeat >= HEARTBEAT_MS;
    if (isBeat) this.#lastBeat = now;
    for (const session of this.#sessions) {
      if (now - session.heardAt > DEAD_AFTER_MS) session.socket.terminate();
      else if (isBeat) session.beat();
    }
    await Promise.all([...this.#sessions].map(session => this.#checkAccess(session)));
  }

  async #checkAccess(session: SocketSession): Promise<void> {
    if (await this.#parts.access.isStillValid(session.principal)) return;
    session.close(CLOSE_CODES.unauthenticated, 'the token was revoked or has expired');
  }
}

function ticketOf(protocols: string | undefined): string | undefined {
  const words = (protocols ?? '').split(',').map(word => word.trim());
  return words.find(word => word.startsWith('ticket.'))?.slice('ticket.'.length);
}

function closed(socket: WebSocket, limit: AbortSignal): Promise<void> {
  if (socket.readyState === socket.CLOSED) return Promise.resolve();
  return new Promise(resolve => {
    limit.addEventListener('abort', () => socket.terminate(), { once: true });
    socket.once('close', () => resolve());
  });
}
