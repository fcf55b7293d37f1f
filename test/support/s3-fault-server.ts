import { createServer, type IncomingMessage, request as requestHttp, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** What befalls one request on its way to S3. */
export type S3Fault =
  /** It is answered here, with an error as S3 words it or with a body of one's own, and never gets there. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly code?: string;
      readonly body?: string;
      readonly date?: Date;
    }
  /** The connection is cut when so many bytes of the answer's body have come through. */
  | { readonly kind: 'cut answer'; readonly after: number }
  /** It is done, but the connection is cut instead of an answer. */
  | { readonly kind: 'lose answer' }
  /** It is done, but instead of its answer there is an error as S3 words it. */
  | { readonly kind: 'deny answer'; readonly status: number; readonly code: string }
  /** The connection is cut when so many bytes of its body have been sent. */
  | { readonly kind: 'cut request'; readonly after: number }
  /** One byte of its body is another when it gets there. */
  | { readonly kind: 'change request' }
  /** Nothing happens for ever. */
  | { readonly kind: 'stall' };

export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly range: string | undefined;
  /** How many requests came before it. */
  readonly index: number;
}

/** An S3 on a bad day: what it gets it passes on to a real one, except for what `fault` says. */
export interface S3FaultServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly seen: SeenRequest[];
  fault: (request: SeenRequest) => S3Fault | undefined;
}

export async function startS3FaultServer(realEndpoint: string, host = '127.0.0.1'): Promise<S3FaultServer> {
  const answer = (incoming: IncomingMessage, response: ServerResponse) => {
    const { method = '', url = '', headers } = incoming;
    const request = { method, url, range: headers.range, index: faulty.seen.length };
    faulty.seen.push(request);
    const fault = faulty.fault(request);
    // What is cut off ends in an error here as well; the client's view of it is what the tests look at.
    handle(incoming, response, realEndpoint, fault).catch(() => response.destroy());
  };
  const server = createServer(answer);
  await new Promise<void>(resolve => server.listen(0, host, resolve));
  const faulty: S3FaultServer = {
    endpoint: `http://${host}:${(server.address() as AddressInfo).port}`,
    seen: [],
    fault: () => undefined,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
  return faulty;
}

async function handle(
  incoming: IncomingMessage,
  response: ServerResponse,
  realEndpoint: string,
  fault: S3Fault | undefined,
): Promise<void> {
  if (fault?.kind === 'stall') return;
  if (fault?.kind === 'answer') return answerHere(incoming, response, fault);
  // The host stays the client's own, as it is part of what it has signed.
  const { method, url: path, headers } = incoming;
  const { hostname, port } = new URL(realEndpoint);
  const forwarded = requestHttp({ hostname, port, method, path, headers, agent: false });
  forwarded.on('error', () => response.destroy());
  const answered = new Promise<IncomingMessage>(resolve => forwarded.once('response', resolve));
  if (fault?.kind === 'cut request') {
    await passOn(incoming, forwarded, fault.after);
    forwarded.destroy();
    incoming.socket.resetAndDestroy();
    return;
  }
  if (fault?.kind === 'change request') (await incomingChanged(incoming)).pipe(forwarded);
  else incoming.pipe(forwarded);
  const answer = await answered;
  if (fault?.kind === 'lose answer') {
    await answer.toArray();
    incoming.socket.resetAndDestroy();
    return;
  }
  if (fault?.kind === 'deny answer') {
    await answer.toArray();
    return answerHere(incoming, response, { ...fault, kind: 'answer' });
  }
  response.writeHead(answer.statusCode ?? 500, answer.headers);
  if (fault?.kind !== 'cut answer') return pipeline(answer, response);
  response.flushHeaders();
  await passOn(answer, response, fault.after);
  answer.destroy();
  response.socket?.destroySoon();
}

async function incomingChanged(incoming: IncomingMessage): Promise<Readable> {
  const body = Buffer.concat(await incoming.toArray());
  if (body.length > 0) body[body.length >> 1]! ^= 1;
  return Readable.from([body]);
}

async function answerHere(
  incoming: IncomingMessage,
  response: ServerResponse,
  { status, code = 'Oops', body, date }: S3Fault & { kind: 'answer' },
): Promise<void> {
  await incoming.toArray();
  const error = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>as the test says</Message></Error>`;
  response.writeHead(status, { 'content-type': 'application/xml', ...(date && { date: date.toUTCString() }) });
  response.end(incoming.method === 'HEAD' ? undefined : (body ?? error));
}

/** Passes on so many bytes and no more. */
async function passOn(from: AsyncIterable<Buffer>, to: NodeJS.WritableStream, bytes: number): Promise<void> {
  let left = bytes;
  for await (const chunk of from) {
    const part = chunk.subarray(0, left);
    left -= part.length;
    if (part.length > 0) await new Promise<void>((resolve, reject) => to.write(part, e => (e ? reject(e) : resolve())));
    if (left === 0) return;
  }
}
