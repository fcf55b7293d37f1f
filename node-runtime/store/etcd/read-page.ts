import { once } from 'node:events';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { type Clock, deadline } from '../../system/clock.ts';
import type { Call } from '../store.ts';
import type { EndpointCredentials } from './probe-endpoint.ts';

/** A page that a member serves at its client address, without user and password. */
export interface MemberPage {
  readonly text: string;
  /** Milliseconds since 1970 by its clock, to the second. */
  readonly date?: number;
  /** By how many milliseconds our clock is ahead of the member's, which tells no more than the second; undefined if it tells nothing. */
  readonly ahead?: number;
}

const MOST_BYTES = 4_000_000;

/** Undefined when it cannot be had: members may serve their metrics elsewhere, or not at all. */
export async function readPage(
  url: string,
  credentials: EndpointCredentials,
  clock: Clock,
  call: Call,
): Promise<MemberPage | undefined> {
  using limit = deadline(clock, call.timeoutMs, call.signal);
  try {
    const began = clock.now();
    const send = url.startsWith('https:') ? requestHttps : requestHttp;
    const request = send(url, { agent: false, signal: limit.signal, ...credentials });
    // One that comes after the answer must not end the process.
    request.on('error', () => undefined);
    request.end();
    const [response] = (await once(request, 'response', { signal: limit.signal })) as [IncomingMessage];
    const middle = (began + clock.now()) / 2;
    const text = await readText(response);
    if (response.statusCode !== 200) return undefined;
    const date = Date.parse(response.headers.date ?? '');
    return { text, ...(Number.isFinite(date) && { date, ahead: middle - date - 500 }) };
  } catch {
    call.signal.throwIfAborted();
    return undefined;
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Error('The page is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
