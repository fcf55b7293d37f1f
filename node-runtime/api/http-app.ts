import { type IncomingMessage, maxHeaderSize } from 'node:http';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { routes } from '../../shared/api.ts';
import { CiError } from '../../shared/errors.ts';
import { type Clock, deadline } from '../system/clock.ts';
import type { Logger } from '../system/logger.ts';
import type { Metrics } from '../system/metrics.ts';
import type { AccessControl } from './access.ts';
import { authorize } from './authorize.ts';
import { answerOf } from './error-answer.ts';
import { newRequestId, refuseRaw } from './refuse-raw.ts';
import type { Guard } from './request-guard.ts';

export interface HttpAppParts {
  readonly access: AccessControl;
  readonly guard: Guard;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Fires when requests still under way are to be cut. */
  readonly ended: AbortSignal;
}

const HEADERS_TIMEOUT_MS = 10_000;
const BODY_TIMEOUT_MS = 20_000;
const REFUSED_BODY_MS = 1000;
/** Without a byte in either direction for this long, a connection is closed. WebSockets have their heartbeat instead. */
const IDLE_TIMEOUT_MS = 120_000;
const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
};

/** An HTTP server without routes: what holds for every request, whichever route it is for. */
export function createHttpApp(parts: HttpAppParts): FastifyInstance {
  const app = Fastify({
    logger: false,
    genReqId: newRequestId,
    requestIdHeader: false,
    exposeHeadRoutes: false,
    connectionTimeout: IDLE_TIMEOUT_MS,
    http: { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: 5000 },
    routerOptions: { maxParamLength: 2000 },
    frameworkErrors: (error, request, reply) => {
      const { status, headers, body } = answerOf(error, request.id);
      const answer = reply as unknown as FastifyReply;
      void answer
        .code(status)
        .headers({ ...headers, 'x-request-id': request.id })
        .send(body);
    },
    clientErrorHandler: (error, socket) => {
      refuseRaw(socket, unreadable(error.code));
    },
  });
  admit(app, parts);
  limitBodies(app, parts);
  answerErrors(app, parts.logger);
  noteRequests(app, parts);
  return app;
}

/** What Node's parser gave up at. */
function unreadable(code: string): CiError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new CiError(
        'too-large',
        `Cannot read the request as its headers are too large: at most ${maxHeaderSize} bytes`,
      );
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new CiError(
        'invalid',
        `Cannot read the request as its headers are not whole after ${HEADERS_TIMEOUT_MS / 1000} s`,
      );
    default:
      return new CiError('invalid', 'Cannot read the request: it is not HTTP');
  }
}

/** Decides who may go on before anything of the body is read. */
function admit(app: FastifyInstance, { access, guard }: HttpAppParts): void {
  app.decorateRequest('principal', undefined);
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...SECURITY_HEADERS, 'x-request-id': request.id });
    guard(request.headers);
    const name = request.routeOptions.config.route;
    if (!name || routes[name].access === 'public') return;
    request.principal = await access.authenticate(request.headers.authorization, request.ip);
    authorize(request.principal, routes[name].access);
  });
}

/**
 * A body that trickles in keeps nobody waiting, and one that was refused is not read to its end: its sender gets a second to
 * read the answer. Objects are as large as they are, and have the idle timeout only.
 */
function limitBodies(app: FastifyInstance, { clock, ended }: HttpAppParts): void {
  app.addHook('preParsing', async request => {
    if (request.routeOptions.config.route !== 'putObject') cutUnlessWhole(request, BODY_TIMEOUT_MS, clock, ended);
  });
  app.addHook('onResponse', async request => {
    cutUnlessWhole(request, REFUSED_BODY_MS, clock, ended);
  });
}

/** Whether there is nothing of the body still to come. */
function isWhole({ complete, headers }: IncomingMessage): boolean {
  return complete || (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0);
}

function cutUnlessWhole({ raw }: FastifyRequest, ms: number, clock: Clock, ended: AbortSignal): void {
  if (isWhole(raw)) return;
  const limit = deadline(clock, ms, ended);
  const { socket } = raw;
  const cut = () => socket.destroy();
  limit.signal.addEventListener('abort', cut, { once: true });
  const whole = () => {
    limit.signal.removeEventListener('abort', cut);
    limit[Symbol.dispose]();
    socket.off('close', whole);
  };
  raw.once('end', whole);
  socket.once('close', whole);
}

function answerErrors(app: FastifyInstance, logger: Logger): void {
  app.setNotFoundHandler(request => {
    throw new CiError(
      'not-found',
      `Cannot find anything at this address: ${request.method} ${request.url.slice(0, 200)}`,
    );
  });
  app.setErrorHandler((error, request, reply) => {
    const { status, headers, body } = answerOf(error, request.id);
    const isWanted = !request.raw.socket.destroyed;
    if (body.error.code === 'internal' && isWanted) logger.error('A request failed', { requestId: request.id, error });
    // What is left of the body is not waited for.
    const close = isWhole(request.raw) ? {} : { connection: 'close' };
    return reply
      .code(status)
      .headers({ ...headers, ...close })
      .send(body);
  });
}

function noteRequests(app: FastifyInstance, { logger, metrics }: HttpAppParts): void {
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.config.route ?? 'none';
    metrics.requests.observe({ route, status: String(reply.statusCode) }, reply.elapsedTime / 1000);
    const fields = {
      requestId: request.id,
      method: request.method,
      path: request.url.split('?')[0]?.slice(0, 300),
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
      ...(request.principal && { by: request.principal.name }),
      ...clientRequestId(request.headers['x-request-id']),
    };
    // Looking on is routine, and so are those whom nobody knows: a flood of them must not become a flood of lines.
    const isRoutine = request.method === 'GET' || reply.statusCode === 401 || reply.statusCode === 429;
    if (isRoutine && reply.statusCode < 500) logger.debug('Request', fields);
    else logger.info('Request', fields);
  });
}

/** A client's own id of a request is noted, so that its log and ours can be read together; ours is the one we answer with. */
function clientRequestId(header: string | string[] | undefined): { clientRequestId?: string } {
  return typeof header === 'string' && /^[\w.:-]{1,64}$/.test(header) ? { clientRequestId: header } : {};
}
