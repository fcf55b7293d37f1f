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
/** For a body to be whole, and again for what still comes of one that was refused. */
const BODY_TIMEOUT_MS = 20_000;
/** So much of a refused body is read and dropped, that its sender may get to the answer. */
const REFUSED_BODY_BYTES = 64 * 1024 * 1024;
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
      refuseRest(request.raw, answer, parts);
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
      // Not the client's fault for sure: to a node that stood still for a while, all that came meanwhile looks like this.
      return new CiError(
        'unavailable',
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
 * A body that trickles in keeps nobody waiting, and what is refused is told before it has been sent. Objects are as large as
 * they are, and have the idle timeout only.
 */
function limitBodies(app: FastifyInstance, parts: HttpAppParts): void {
  app.server.on('checkContinue', (request, response) => app.server.emit('request', request, response));
  app.addHook('preParsing', async ({ raw, routeOptions }, reply) => {
    const isObject = routeOptions.config.route === 'putObject';
    if (!isObject) cutUnlessWhole(raw, parts);
    const isTooLarge = !isObject && Number(raw.headers['content-length']) > routeOptions.bodyLimit;
    // Any other expectation was refused before.
    const isAsked = raw.headers.expect !== undefined && raw.httpVersion === '1.1';
    if (isAsked && !isTooLarge) reply.raw.writeContinue();
  });
  app.addHook('onSend', async (request, reply) => refuseRest(request.raw, reply, parts));
}

/** Whether there is nothing of the body still to come. */
function isWhole({ complete, headers }: IncomingMessage): boolean {
  return complete || (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0);
}

/**
 * For an answer that does not wait for the rest of the body. A connection that is closed with bytes unread is reset, and the
 * answer lost with it unless its sender has been quick to read. So only our side is closed after the answer; what still comes
 * is dropped until the sender has noticed, as long as any body may take and up to 64 MiB. Who means to wear the node out
 * gains nothing: bytes can be sent in many requests too, and a connection that idles may stay for longer.
 */
function refuseRest(raw: IncomingMessage, reply: FastifyReply, parts: HttpAppParts): void {
  const { socket } = raw;
  if (isWhole(raw) || socket.destroyed) return;
  void reply.header('connection', 'close');
  cutUnlessWhole(raw, parts);
  let dropped = 0;
  raw.on('data', (bytes: Uint8Array) => {
    dropped += bytes.length;
    if (dropped > REFUSED_BODY_BYTES) socket.destroy();
  });
  // What Node's server calls when an answer that closes has been written.
  const { destroySoon } = socket;
  socket.destroySoon = () => socket.end();
  raw.once('end', () => {
    socket.destroySoon = destroySoon;
    if (socket.writableEnded) socket.destroySoon();
  });
}

function cutUnlessWhole(raw: IncomingMessage, { clock, ended }: HttpAppParts): void {
  if (isWhole(raw)) return;
  const limit = deadline(clock, BODY_TIMEOUT_MS, ended);
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
    const { status, headers, body } = answerOf(nameLimit(error, request), request.id);
    const isWanted = !request.raw.socket.destroyed;
    if (body.error.code === 'internal' && isWanted) logger.error('A request failed', { requestId: request.id, error });
    return reply.code(status).headers(headers).send(body);
  });
}

/** The HTTP library says no more than that a body is too large. One that comes in chunks has told no size. */
function nameLimit(error: unknown, { headers, routeOptions }: FastifyRequest): unknown {
  if ((error as { code?: unknown }).code !== 'FST_ERR_CTP_BODY_TOO_LARGE') return error;
  const size = headers['content-length'];
  const told = size === undefined ? '' : `${size} bytes, `;
  const message = `Cannot take the request as its body is too large: ${told}at most ${routeOptions.bodyLimit}`;
  return new CiError('too-large', message, { cause: error });
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
