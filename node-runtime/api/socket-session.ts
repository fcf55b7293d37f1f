import type { RawData, WebSocket } from 'ws';
import type { NodeView } from '../../shared/api.ts';
import { ClientMessage, INITIAL_LOG_CREDIT, type ServerMessage } from '../../shared/socket-protocol.ts';
import { CiError } from '../../shared/errors.ts';
import type { LogPosition } from '../../shared/log.ts';
import type { Clock } from '../system/clock.ts';
import type { Logger } from '../system/logger.ts';
import type { Metrics } from '../system/metrics.ts';
import { BlockRoom } from '../logs/block-room.ts';
import type { Logs, TaskLogs } from '../logs/logs.ts';
import type { TasksService } from '../queue/tasks-service.ts';
import type { Principal } from './authorize.ts';
import { Credit } from './credit.ts';
import { invalidRequest, toCiError } from './error-answer.ts';
import { openLog, sendLog } from './log-subscription.ts';
import { Outbox } from './outbox.ts';

export interface SessionParts {
  readonly tasks: TasksService;
  readonly taskLogs: TaskLogs;
  readonly logs: Pick<Logs, 'read'>;
  readonly watchNodes: (signal: AbortSignal) => AsyncIterable<NodesEvent>;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export type NodesEvent =
  | { readonly kind: 'snapshot'; readonly nodes: readonly NodeView[] }
  | { readonly kind: 'changed'; readonly node: NodeView }
  | { readonly kind: 'gone'; readonly id: string };

/** Why a socket was closed, as WebSocket close codes. An outside contract. */
export const CLOSE_CODES = { stopping: 1001, abuse: 1008, unauthenticated: 4401 } as const;

const MOST_SUBSCRIPTIONS = 64;
/** Pieces of logs, of 1 MiB at most, that all subscriptions of a socket may hold between them. */
const MOST_PIECES = 8;
const MOST_MALFORMED = 10;
/** A client may say so much at once, and so much a second from then on. */
const MESSAGE_BURST = 4000;
const MESSAGES_PER_SECOND = 1000;

type Subscribe = Extract<ClientMessage, { type: 'subscribe' }>;

interface Subscription {
  readonly stop: AbortController;
  readonly credit: Credit;
}

/** One WebSocket and what its client has subscribed to. */
export class SocketSession {
  readonly principal: Principal;
  readonly socket: WebSocket;
  /** `Clock.monotonic` at which the client was last heard of. */
  heardAt: number;
  readonly #parts: SessionParts;
  readonly #outbox: Outbox;
  readonly #room = new BlockRoom(MOST_PIECES);
  readonly #subscriptions = new Map<number, Subscription>();
  readonly #closed = new AbortController();
  #malformed = 0;
  #allowance = MESSAGE_BURST;
  #allowedAt: number;

  constructor(socket: WebSocket, principal: Principal, parts: SessionParts) {
    this.socket = socket;
    this.principal = principal;
    this.#parts = parts;
    this.#outbox = new Outbox(socket);
    this.heardAt = this.#allowedAt = parts.clock.monotonic();
    socket.on('message', (data, isBinary) => this.#hear(data, isBinary));
    socket.on('pong', () => {
      this.heardAt = parts.clock.monotonic();
    });
    // A frame that breaks the protocol or is too large: ws closes the socket with the right code by itself.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#closed.abort(new DOMException('The socket was closed', 'AbortError')));
  }

  /** Asks for a sign of life, and gives one that scripts in browsers can see too. */
  beat(): void {
    this.socket.ping();
    this.#outbox.trySay({ type: 'heartbeat' });
  }

  close(code: number, reason: string): void {
    this.#closed.abort(new DOMException(reason, 'AbortError'));
    this.socket.close(code, reason);
  }

  #hear(data: RawData, isBinary: boolean): void {
    this.heardAt = this.#parts.clock.monotonic();
    if (this.#mayTalk()) this.#read(data, isBinary);
    else this.close(CLOSE_CODES.abuse, 'too many messages');
  }

  #read(data: RawData, isBinary: boolean): void {
    try {
      this.#act(parseMessage(data, isBinary));
    } catch (error) {
      this.#complain(error);
      if (++this.#malformed >= MOST_MALFORMED) this.close(CLOSE_CODES.abuse, 'too many messages that are wrong');
    }
  }

  #mayTalk(): boolean {
    const elapsed = this.heardAt - this.#allowedAt;
    this.#allowedAt = this.heardAt;
    this.#allowance = Math.min(MESSAGE_BURST, this.#allowance + (elapsed / 1000) * MESSAGES_PER_SECOND) - 1;
    return this.#allowance >= 0;
  }

  #act(message: ClientMessage): void {
    switch (message.type) {
      case 'subscribe':
        this.#subscribe(message);
        return;
      case 'unsubscribe':
        this.#subscriptions.get(message.id)?.stop.abort(new DOMException('Unsubscribed', 'AbortError'));
        this.#subscriptions.delete(message.id);
        return;
      case 'credit':
        // For a subscription that has just ended it comes too late, which is no fault.
        this.#subscriptions.get(message.id)?.credit.give(message.bytes);
        return;
    }
  }

  #subscribe(message: Subscribe): void {
    if (this.#subscriptions.has(message.id))
      throw new CiError('conflict', `Cannot subscribe as the id is that of another subscription: ${message.id}`);
    if (this.#subscriptions.size >= MOST_SUBSCRIPTIONS)
      throw new CiError(
        'rate-limited',
        `Cannot subscribe as the socket has ${MOST_SUBSCRIPTIONS} subscriptions already`,
      );
    const subscription = { stop: new AbortController(), credit: new Credit(INITIAL_LOG_CREDIT) };
    this.#subscriptions.set(message.id, subscription);
    void this.#serve(message, subscription);
  }

  /** Never rejects: what goes wrong is the subscription's last word. */
  async #serve(message: Subscribe, subscription: Subscription): Promise<void> {
    const { id, topic } = message;
    const { metrics } = this.#parts;
    const signal = AbortSignal.any([subscription.stop.signal, this.#closed.signal]);
    metrics.subscriptions.inc({ topic });
    let last: ServerMessage = { type: 'end', id };
    try {
      await this.#send(message, subscription.credit, signal);
    } catch (error) {
      // What the client has ended itself, with the subscription or the socket, is no fault.
      if (!signal.aborted) last = { id, ...this.#wordOf(error) };
    } finally {
      metrics.subscriptions.dec({ topic });
      if (this.#subscriptions.get(id) === subscription) this.#subscriptions.delete(id);
    }
    await this.#outbox.say(last, signal).catch(() => undefined);
  }

  #complain(error: unknown): void {
    this.#outbox.trySay(this.#wordOf(error));
  }

  #wordOf(error: unknown): Extract<ServerMessage, { type: 'error' }> {
    const { code, message } = toCiError(error);
    if (code === 'internal') this.#parts.logger.error('A WebSocket’s message failed', { error });
    return { type: 'error', code, message };
  }

  #send(message: Subscribe, credit: Credit, signal: AbortSignal): Promise<void> {
    const { id } = message;
    switch (message.topic) {
      case 'tasks':
        return this.#sendTasks(id, signal);
      case 'nodes':
        return this.#sendNodes(id, signal);
      case 'log': {
        const onBytes = (count: number) => this.#parts.metrics.followedBytes.inc(count);
        const room = this.#room;
        const open = (from?: LogPosition) => openLog({ message, from, room }, this.#parts, signal);
        const isWithoutBytes = message.marks === true;
        return sendLog(open, { id, outbox: this.#outbox, room, credit, isWithoutBytes, onBytes }, signal);
      }
    }
  }

  async #sendTasks(id: number, signal: AbortSignal): Promise<void> {
    for await (const event of this.#parts.tasks.watch(signal)) {
      if (event.kind === 'snapshot') await this.#outbox.say({ type: 'snapshot', id, tasks: [...event.tasks] }, signal);
      else if (event.kind === 'changed') await this.#outbox.say({ type: 'changed', id, task: event.task }, signal);
      else await this.#outbox.say({ type: 'changed', id, gone: event.id }, signal);
    }
  }

  async #sendNodes(id: number, signal: AbortSignal): Promise<void> {
    for await (const event of this.#parts.watchNodes(signal)) {
      if (event.kind === 'snapshot') await this.#outbox.say({ type: 'snapshot', id, nodes: [...event.nodes] }, signal);
      else if (event.kind === 'changed') await this.#outbox.say({ type: 'changed', id, node: event.node }, signal);
      else await this.#outbox.say({ type: 'changed', id, gone: event.id }, signal);
    }
  }
}

function parseMessage(data: RawData, isBinary: boolean): ClientMessage {
  if (isBinary) throw new CiError('invalid', 'Cannot read the message as it is binary: messages are JSON text');
  const message = parseJson(data.toString());
  const parsed = ClientMessage.safeParse(message);
  if (!parsed.success) throw invalidRequest('message', message, parsed.error);
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CiError('invalid', 'Cannot read the message as it is not JSON');
  }
}
