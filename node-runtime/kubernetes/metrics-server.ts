import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { CiError } from '../../shared/errors.ts';
import type { Clock } from '../system/clock.ts';
import type { Logger } from '../system/logger.ts';
import { answerMetrics, failure, type MetricsAnswer, type MetricsSource } from './external-metrics.ts';
import { type FrontProxy, readFrontProxy, userOf } from './front-proxy.ts';
import type { KubernetesApi } from './kubernetes-api.ts';

export interface MetricsServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** PEM files: they may be replaced while the server runs. */
  readonly certificate: { readonly cert: string; readonly key: string };
  readonly api: KubernetesApi;
  readonly source: MetricsSource;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How soon a new certificate, or another authority of the API servers, is taken up. */
const REREAD_MS = 60_000;
const HEALTH = new Set(['/healthz', '/livez', '/readyz']);

/** An API of Kubernetes for its API servers alone: whoever else asks is refused, but for whether it lives. */
export class MetricsServer implements AsyncDisposable {
  readonly #options: MetricsServerOptions;
  readonly #server: Server;
  #trust: FrontProxy;

  /** Rejects when the API servers cannot be known, or the certificate not be read: it would answer nobody. */
  static async start(options: MetricsServerOptions, signal: AbortSignal): Promise<MetricsServer> {
    const { clock, listen } = options;
    const trust = await readFrontProxy(options.api, { signal });
    const server = new MetricsServer(options, trust, await readPair(options));
    await server.#listen(listen);
    // Ends by the signal.
    void server.#reread(clock, signal);
    return server;
  }

  private constructor(options: MetricsServerOptions, trust: FrontProxy, pair: { cert: string; key: string }) {
    this.#options = options;
    this.#trust = trust;
    this.#server = createServer(
      {
        ...pair,
        ca: trust.ca,
        requestCert: true,
        // Probes of the kubelet come without a certificate; who has the right one is looked at for each request.
        rejectUnauthorized: false,
        minVersion: 'TLSv1.2',
        headersTimeout: 10_000,
        requestTimeout: 10_000,
        connectionsCheckingInterval: 5000,
      },
      (request, response) => void this.#serve(request, response),
    );
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #listen({ host, port }: MetricsServerOptions['listen']): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', cause =>
        reject(new CiError('conflict', `Cannot serve metrics as the port cannot be had: ${host}:${port}`, { cause })),
      );
      this.#server.listen(port, host, resolve);
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    const { method = '', url = '/' } = request;
    if (HEALTH.has(url)) return void response.writeHead(200).end('ok\n');
    const user = userOf(request, this.#trust);
    const answer = await this.#answer(user, method, url);
    this.#options.logger.debug('Answered', { user, method, url, status: answer.status });
    send(response, answer);
  }

  async #answer(user: string | undefined, method: string, url: string): Promise<MetricsAnswer> {
    if (user === undefined) return failure(401, 'Unauthorized', 'Unauthorized');
    if (!URL.canParse(url, 'https://metrics')) return failure(400, 'BadRequest', 'The address cannot be read');
    const answer = await answerMetrics(this.#options.source, method, url);
    if (answer.status >= 500)
      this.#options.logger.warn('Cannot tell the metric: the number of pods stays as it is', { answer: answer.body });
    return answer;
  }

  /** What cannot be read stays as it was: the old one may still be right. */
  async #reread(clock: Clock, signal: AbortSignal): Promise<void> {
    const { api, logger } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(REREAD_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        const trust = await readFrontProxy(api, { signal });
        this.#server.setSecureContext({ ...(await readPair(this.#options)), ca: trust.ca, minVersion: 'TLSv1.2' });
        this.#trust = trust;
      } catch (error) {
        if (!signal.aborted)
          logger.warn('Cannot read the certificates anew: goes on with those that it has', { error });
      }
    }
  }
}

async function readPair({ certificate }: MetricsServerOptions): Promise<{ cert: string; key: string }> {
  const read = (file: string) =>
    readFile(file, 'utf8').catch((cause: unknown) => {
      throw new CiError('invalid', `Cannot serve metrics as a file of the certificate cannot be read: ${file}`, {
        cause,
      });
    });
  return { cert: await read(certificate.cert), key: await read(certificate.key) };
}

function send(response: ServerResponse, { status, body }: MetricsAnswer): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-cache, private',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
