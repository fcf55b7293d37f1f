import * as l10n from '@vscode/l10n';
import {
  type ClientMessage,
  DEAD_AFTER_MS,
  decodeLogFrame,
  ServerMessage,
  SOCKET_PATH,
  SOCKET_PROTOCOL,
} from '../socket-protocol.ts';
import { CiError, ERROR_STATUS, type ErrorCode } from '../errors.ts';
import type { HttpCaller } from './http.ts';
import { MessageQueue } from './message-queue.ts';

/** What a node says about one subscription. */
export type Incoming =
  | Exclude<ServerMessage, { type: 'error' | 'end' | 'heartbeat' }>
  | { readonly type: 'bytes'; readonly offset: number; readonly time: number; readonly bytes: Uint8Array };

export type Subscribe = Extract<ClientMessage, { type: 'subscribe' }>;
type Topic<S> = S extends Subscribe ? Omit<S, 'type' | 'id'> : never;
export type Wanted = Topic<Subscribe>;

export interface Subscription extends AsyncIterable<Incoming>, Disposable {
  /** Says that so many bytes have been dealt with: as many more may come. */
  giveCredit(bytes: number): void;
}

const ID = 1;
/** The close code of a socket whose token was revoked or has expired. */
const UNAUTHENTICATED = 4401;
/** More messages than this wait for nobody: the connection is given up, and the next one begins with a snapshot, or where the log was left. */
const MOST_WAITING = 40_000;
const OPEN_WITHIN_MS = 15_000;

/**
 * One subscription on a WebSocket of its own. The iteration ends when the node says that there is no more; it throws a
 * CiError `unavailable` when the connection breaks or falls silent, and what the node said when it refused.
 */
export async function subscribe(
  http: HttpCaller,
  url: string,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<Subscription> {
  const response = await http.requestFrom(url, 'createTicket', {}, signal);
  const { ticket } = (await response.json()) as { ticket: string };
  const address = `${url.replace(/^http/, 'ws')}${SOCKET_PATH}`;
  const socket = new (http.options.WebSocket ?? globalThis.WebSocket)(address, [SOCKET_PROTOCOL, `ticket.${ticket}`]);
  socket.binaryType = 'arraybuffer';
  const queue = new MessageQueue<Incoming>();
  const opened = Promise.withResolvers<void>();
  const stop = watchOver(socket, queue, opened, url, signal);
  const say = (message: ClientMessage) => {
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message));
  };
  await opened.promise;
  say({ type: 'subscribe', id: ID, ...wanted });
  return {
    [Symbol.asyncIterator]: () => queue[Symbol.asyncIterator](),
    giveCredit: bytes => say({ type: 'credit', id: ID, bytes }),
    [Symbol.dispose]: stop,
  };
}

/** Puts what comes into the queue, until the subscription ends in one way or another. Returns what ends it from this side. */
function watchOver(
  socket: WebSocket,
  queue: MessageQueue<Incoming>,
  opened: PromiseWithResolvers<void>,
  url: string,
  signal: AbortSignal,
): () => void {
  const broken = (why: string) =>
    new CiError('unavailable', l10n.t('Lost the connection to the node at {0}: {1}', url, why));
  const closed = (code: number, reason: string) =>
    code === UNAUTHENTICATED
      ? new CiError('unauthenticated', `The node at ${url} ended the connection: ${reason}`)
      : broken(l10n.t('closed with {0} {1}', code, reason));
  const finish = (failure?: unknown) => {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
    queue.end(failure);
    opened.reject(failure);
    socket.close();
  };
  const abort = () => finish(signal.reason);
  const silence = () => finish(broken(l10n.t('it was silent for {0} s', DEAD_AFTER_MS / 1000)));
  let timer = setTimeout(() => finish(broken(l10n.t('it did not open'))), OPEN_WITHIN_MS);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(silence, DEAD_AFTER_MS);
  };
  socket.addEventListener('open', () => {
    heard();
    opened.resolve();
  });
  socket.addEventListener('message', ({ data }) => {
    heard();
    try {
      const ended = take(data, queue);
      if (ended) finish();
      else if (queue.size > MOST_WAITING) finish(broken('more came than was taken'));
    } catch (error) {
      finish(error);
    }
  });
  socket.addEventListener('error', () => finish(broken(l10n.t('it failed'))));
  socket.addEventListener('close', ({ code, reason }) => finish(closed(code, reason)));
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  return () => finish();
}

/** True if that was the last word. */
function take(data: unknown, queue: MessageQueue<Incoming>): boolean {
  if (typeof data !== 'string') {
    const frame = decodeLogFrame(new Uint8Array(data as ArrayBuffer));
    if (frame) queue.push({ type: 'bytes', offset: frame.offset, time: frame.time, bytes: frame.bytes });
    return false;
  }
  // What a newer node says and this release does not know is passed over.
  const message = ServerMessage.safeParse(JSON.parse(data)).data;
  if (!message || message.type === 'heartbeat') return false;
  if (message.type === 'end') return true;
  if (message.type !== 'error') queue.push(message);
  else if (message.id === ID || message.id === undefined) throw new CiError(codeOf(message.code), message.message);
  return false;
}

function codeOf(code: string): ErrorCode {
  return code in ERROR_STATUS ? (code as ErrorCode) : 'internal';
}
