import { once } from 'node:events';
import { WebSocket } from 'ws';
import { decodeLogFrame, type ServerMessage, SOCKET_PATH, SOCKET_PROTOCOL } from '../../shared/socket-protocol.ts';
import { eventually } from './test-tasks.ts';

/** A WebSocket as a test sees it: it says what it likes, and keeps all that it hears. */
export interface TestSocket {
  readonly socket: WebSocket;
  readonly messages: ServerMessage[];
  readonly frames: { subscription: number; offset: number; bytes: Uint8Array }[];
  say(message: unknown): void;
  /** The first message heard, now or soon, for which that holds. */
  heard<T extends ServerMessage['type']>(type: T): Promise<Extract<ServerMessage, { type: T }>>;
  /** The code with which the node closed it. */
  readonly closed: Promise<number>;
}

export async function openSocket(url: string, token: string): Promise<TestSocket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}${SOCKET_PATH}`, [SOCKET_PROTOCOL], {
    headers: { authorization: `Bearer ${token}` },
  });
  const messages: ServerMessage[] = [];
  const frames: TestSocket['frames'] = [];
  socket.on('message', (data, isBinary) => {
    if (isBinary) frames.push(decodeLogFrame(new Uint8Array(data as Buffer))!);
    else messages.push(JSON.parse(String(data)));
  });
  socket.on('error', () => undefined);
  const closed = new Promise<number>(resolve => socket.once('close', resolve));
  await once(socket, 'open');
  return {
    socket,
    messages,
    frames,
    closed,
    say: message => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    heard: type =>
      eventually(`a message ${type}`, () => messages.find(message => message.type === type)) as Promise<never>,
  };
}

/** Tries to open a WebSocket and tells the HTTP status with which it was refused, or 101. */
export function upgradeStatus(url: string, options: { protocols?: string[]; headers?: Record<string, string> }) {
  const { protocols = [SOCKET_PROTOCOL], headers = {} } = options;
  return new Promise<number>((resolve, reject) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}${SOCKET_PATH}`, protocols, { headers });
    socket.on('unexpected-response', (_request, response) => {
      response.resume();
      socket.terminate();
      resolve(response.statusCode!);
    });
    socket.on('error', error => setImmediate(() => reject(error)));
    socket.on('open', () => {
      socket.terminate();
      resolve(101);
    });
  });
}
