import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { answerOf } from './error-answer.ts';

export function newRequestId(): string {
  return randomBytes(10).toString('hex');
}

/** Answers on a connection that is not, or no longer, in the hands of the HTTP server. Returns the id of the request. */
export function refuseRaw(socket: Pick<Socket, 'writable' | 'end' | 'destroy'>, error: unknown): string {
  const requestId = newRequestId();
  const { status, headers, body } = answerOf(error, requestId);
  const text = JSON.stringify(body);
  const all = {
    ...headers,
    'x-request-id': requestId,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(text)),
    connection: 'close',
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  if (!socket.writable) socket.destroy();
  else socket.end(`HTTP/1.1 ${status} Refused\r\n${lines.join('')}\r\n${text}`);
  return requestId;
}
