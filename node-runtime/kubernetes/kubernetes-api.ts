import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { join } from 'node:path';
import { CiError, type ErrorCode } from '../../shared/errors.ts';
import { type Clock, deadline } from '../system/clock.ts';

/** Where Kubernetes has told a pod its API is, and the folder with the credentials that it has put into the pod. */
export interface InCluster {
  readonly host: string;
  readonly port: number;
  /** It holds `token`, `ca.crt` and `namespace`. */
  readonly serviceAccount: string;
}

export interface KubernetesCall {
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

interface Body {
  readonly type: string;
  readonly value: object;
}

interface Within {
  /** Ends all of it. */
  readonly signal: AbortSignal;
  /** Ends it unless Kubernetes has agreed to it. */
  readonly soon: AbortSignal;
}

const TIMEOUT_MS = 10_000;
/** Of an answer, or of one event. */
const MAX_ANSWER_BYTES = 4_000_000;
/** How soon it is noticed that nobody is at the other end of a connection on which little is said. */
const KEEP_ALIVE_MS = 15_000;

/**
 * Kubernetes' API as seen from a pod, as little of it as is needed. Token and authority are read anew for each call, as Kubernetes
 * replaces them while the pod runs; a call that was under way then is made anew. Failures are CiErrors: `forbidden` when
 * the service account lacks the right, `conflict` when the object has changed since it was read, `gone` when a watch asks for what is
 * forgotten, `unavailable` for what may pass.
 */
export class KubernetesApi {
  readonly #place: InCluster;
  readonly #clock: Clock;

  constructor(place: InCluster, clock: Clock) {
    this.#place = place;
    this.#clock = clock;
  }

  /** The namespace of the pod. */
  async namespace(): Promise<string> {
    return (await this.#read('namespace')).trim();
  }

  /** The same for all pods of one namespace, and another in each cluster of Kubernetes. */
  async identity(): Promise<string> {
    return `${await this.namespace()} ${await this.#read('ca.crt')}`;
  }

  get(path: string, call: KubernetesCall): Promise<unknown> {
    return this.#send('GET', path, undefined, call);
  }

  /** A JSON merge patch. */
  patch(path: string, patch: object, call: KubernetesCall): Promise<unknown> {
    return this.#send('PATCH', path, { type: 'application/merge-patch+json', value: patch }, call);
  }

  post(path: string, value: object, call: KubernetesCall): Promise<unknown> {
    return this.#send('POST', path, { type: 'application/json', value }, call);
  }

  /** Its body says on what conditions. */
  delete(path: string, options: object, call: KubernetesCall): Promise<unknown> {
    return this.#send('DELETE', path, { type: 'application/json', value: options }, call);
  }

  /**
   * The events of a watch as they come, from when Kubernetes has agreed to it until it ends it, as it does now and then. `path` says
   * what is watched and for how long; `timeoutMs` is how long Kubernetes may take to agree.
   */
  async watch(path: string, call: KubernetesCall): Promise<AsyncIterable<unknown>> {
    using limit = deadline(this.#clock, call.timeoutMs ?? TIMEOUT_MS, call.signal);
    return await this.#answered(call, async () => {
      const response = await this.#request('GET', path, undefined, { soon: limit.signal, signal: call.signal });
      return eventsOf(path, response);
    });
  }

  async #send(method: string, path: string, body: Body | undefined, call: KubernetesCall): Promise<unknown> {
    using limit = deadline(this.#clock, call.timeoutMs ?? TIMEOUT_MS, call.signal);
    return await this.#answered(call, async () => {
      const { signal } = limit;
      return parse(path, await readText(await this.#request(method, path, body, { soon: signal, signal })));
    });
  }

  async #answered<T>({ signal }: KubernetesCall, asking: () => Promise<T>): Promise<T> {
    try {
      return await asking();
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof CiError) throw error;
      const { host, port } = this.#place;
      throw new CiError('unavailable', `Cannot ask Kubernetes at ${host}:${port} as it does not answer`, {
        cause: error,
      });
    }
  }

  /** What it answers, if it does what it is asked for. */
  async #request(method: string, path: string, body: Body | undefined, within: Within): Promise<IncomingMessage> {
    const [token, ca] = await Promise.all([this.#read('token'), this.#read('ca.crt')]);
    const content = body && JSON.stringify(body.value);
    const response = await exchange(
      {
        host: this.#place.host,
        port: this.#place.port,
        path,
        method,
        ca,
        agent: false,
        headers: {
          accept: 'application/json',
          authorization: `Bearer ${token.trim()}`,
          // The length is said, as Node does not do that for DELETE: what follows would be taken for the next request.
          ...(body && { 'content-type': body.type, 'content-length': Buffer.byteLength(content ?? '') }),
        },
        signal: within.signal,
      },
      content,
      within.soon,
    );
    if (agrees(response)) return response;
    const { statusCode: status = 0 } = response;
    const text = await readText(response);
    // Replaced while the request was on its way: what it was sent with has run out.
    if (status === 401 && (await this.#read('token')) !== token) return this.#request(method, path, body, within);
    throw refusal(method, path, status, text);
  }

  async #read(name: string): Promise<string> {
    const file = join(this.#place.serviceAccount, name);
    return readFile(file, 'utf8').catch((cause: unknown) => {
      throw new CiError('unavailable', `Cannot ask Kubernetes as the service account lacks a file: ${file}`, { cause });
    });
  }
}

/** Resolves when it begins to answer. It has to before `soon` fires, and to be done by then unless it agrees. */
function exchange(options: RequestOptions, body: string | undefined, soon: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request(options, response => {
      if (agrees(response)) soon.removeEventListener('abort', giveUp);
      resolve(response);
    });
    const giveUp = () => sent.destroy(soon.reason);
    soon.addEventListener('abort', giveUp, { once: true });
    sent.setSocketKeepAlive(true, KEEP_ALIVE_MS);
    sent.on('error', reject).end(body);
    if (soon.aborted) giveUp();
  });
}

function agrees({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode <= 299;
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk;
    if (text.length > MAX_ANSWER_BYTES) throw new Error(`The answer is longer than ${MAX_ANSWER_BYTES}`);
  }
  return text;
}

/** One of them is one line. Ends as the answer does. */
async function* eventsOf(path: string, response: IncomingMessage): AsyncGenerator<unknown, void, void> {
  let rest = '';
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MAX_ANSWER_BYTES) throw new Error(`An event is longer than ${MAX_ANSWER_BYTES}`);
      for (const line of lines) if (line.trim() !== '') yield parse(path, line);
    }
  } catch (error) {
    if (error instanceof CiError) throw error;
    throw new CiError('unavailable', `Cannot go on with ${path} as Kubernetes has broken off`, { cause: error });
  } finally {
    response.destroy();
  }
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not-found',
  409: 'conflict',
  410: 'gone',
  422: 'invalid',
};

function refusal(method: string, path: string, status: number, text: string): CiError {
  const why = messageOf(text) ?? text.slice(0, 200);
  const code = CODES[status] ?? 'unavailable';
  return new CiError(code, `Cannot ${method} ${path} as Kubernetes refuses it: status ${status}, ${why}`);
}

function messageOf(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CiError('unavailable', `Cannot read what Kubernetes answers to ${path} as it is not JSON`, { cause });
  }
}
