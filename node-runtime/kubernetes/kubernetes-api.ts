import { readFile } from 'node:fs/promises';
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

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 4_000_000;

/**
 * Kubernetes' API as seen from a pod, as little of it as is needed. Token and authority are read anew for each call, as Kubernetes
 * replaces them while the pod runs. Failures are CiErrors: `forbidden` when the service account lacks the right,
 * `conflict` when the object has changed since it was read, `unavailable` for what may pass.
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

  async #send(method: string, path: string, body: Body | undefined, call: KubernetesCall): Promise<unknown> {
    const { host, port } = this.#place;
    using limit = deadline(this.#clock, call.timeoutMs ?? TIMEOUT_MS, call.signal);
    const content = body && JSON.stringify(body.value);
    const [token, ca] = await Promise.all([this.#read('token'), this.#read('ca.crt')]);
    const { status, text } = await exchange(
      {
        host,
        port,
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
        signal: limit.signal,
      },
      content,
    ).catch(error => {
      call.signal.throwIfAborted();
      throw new CiError('unavailable', `Cannot ask Kubernetes at ${host}:${port} as it does not answer`, {
        cause: error,
      });
    });
    if (status < 200 || status > 299) throw refusal(method, path, status, text);
    return parse(path, text);
  }

  async #read(name: string): Promise<string> {
    const file = join(this.#place.serviceAccount, name);
    return readFile(file, 'utf8').catch((cause: unknown) => {
      throw new CiError('unavailable', `Cannot ask Kubernetes as the service account lacks a file: ${file}`, { cause });
    });
  }
}

function exchange(options: RequestOptions, body: string | undefined): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(options, response => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MAX_ANSWER_BYTES) sent.destroy(new Error(`The answer is longer than ${MAX_ANSWER_BYTES}`));
      });
      response.on('error', reject).on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('error', reject).end(body);
  });
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not-found',
  409: 'conflict',
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
