import type { AddressInfo, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { routes } from '../../shared/api.ts';
import { CiError } from '../../shared/errors.ts';
import type { NodeId } from '../../shared/ids.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Logs, TaskLogs } from '../logs/logs.ts';
import type { AddressSigner } from '../objects/signed-address.ts';
import type { TasksService } from '../queue/tasks-service.ts';
import { type Clock, deadline } from '../system/clock.ts';
import type { Logger } from '../system/logger.ts';
import type { Metrics } from '../system/metrics.ts';
import type { AccessControl } from './access.ts';
import { artifactHandlers } from './artifact-routes.ts';
import { authorize } from './authorize.ts';
import { answerOf } from './error-answer.ts';
import type { Handlers } from './handlers.ts';
import { healthHandlers } from './health-routes.ts';
import { logHandlers } from './log-routes.ts';
import { nodeHandlers } from './node-routes.ts';
import { objectHandlers } from './object-routes.ts';
import { newRequestId, refuseRaw } from './refuse-raw.ts';
import { registerRoutes } from './register-routes.ts';
import { createGuard, type Guard } from './request-guard.ts';
import { secretHandlers } from './secret-routes.ts';
import { snapshotHandlers } from './snapshot-routes.ts';
import { SocketServer } from './socket-server.ts';
import { taskHandlers } from './task-routes.ts';
import { tokenHandlers } from './token-routes.ts';

export interface ApiOptions {
  readonly cluster: Cluster;
  readonly node: NodeId;
  readonly instance: string;
  readonly version: string;
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The URL under which others reach this node, such as `http://ci-3.example.org:7100`. Default: where it listens. */
  readonly advertise?: string | undefined;
  /** More host names under which the node is reached, and more origins whose pages may open WebSockets. */
  readonly hosts?: readonly string[] | undefined;
  readonly origins?: readonly string[] | undefined;
  readonly tasks: TasksService;
  readonly taskLogs: TaskLogs;
  readonly logs: Pick<Logs, 'read'>;
  readonly access: AccessControl;
  /** Undefined: secrets cannot be set at this node. */
  readonly secretsKey?: Buffer | undefined;
  /** With what a directory store signs its addresses; undefined for stores that serve their own. */
  readonly signedObjects?: AddressSigner | undefined;
  /** Why the node cannot take requests now; undefined when it can. */
  readonly isReady: () => string | undefined;
  readonly isDraining: () => boolean;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export interface ApiServer extends AsyncDisposable {
  /** The URL that others reach, without a slash at its end. */
  readonly address: string;
  /** Takes nothing new, lets requests under way end for up to `graceMs`, then cuts them; ends all sockets. */
  stop(options: { readonly graceMs: number }): Promise<void>;
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

/** Serves the API until it is stopped. Rejects with `conflict` when the port is taken. */
export async function startApi(options: ApiOptions): Promise<ApiServer> {
  const { listen, advertise, hosts, origins } = options;
  const ended = new AbortController();
  const guard = createGuard({ listenHost: listen.host, advertise, hosts, origins });
  const app = createApp(options, guard, ended.signal);
  const sockets = new SocketServer(options, guard);
  app.server.on('upgrade', (request, socket, head) => void sockets.upgrade(request, socket as Socket, head));
  registerRoutes(app, handlersOf(options), ended.signal);
  await bind(app, listen);
  sockets.start();
  const { port } = app.server.address() as AddressInfo;
  const stop = async ({ graceMs }: { graceMs: number }) => {
    await sockets.stop();
    await close(app, options.cluster, graceMs, ended);
  };
  return {
    address: trimSlash(advertise) ?? `http://${reachableHost(listen.host)}:${port}`,
    stop,
    [Symbol.asyncDispose]: () => stop({ graceMs: 0 }),
  };
}

function handlersOf(options: ApiOptions): Handlers {
  return {
    ...taskHandlers(options),
    ...logHandlers(options),
    ...artifactHandlers(options),
    ...snapshotHandlers(options),
    ...nodeHandlers(options),
    ...tokenHandlers(options),
    ...secretHandlers(options),
    ...objectHandlers(options),
    ...healthHandlers(options),
  };
}

function createApp(options: ApiOptions, guard: Guard, ended: AbortSignal): FastifyInstance {
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
    clientErrorHandler: (_error, socket) => {
      refuseRaw(socket, new CiError('invalid', 'Cannot read the request: it is not HTTP'));
    },
  });
  admit(app, options, guard);
  limitBodies(app, options.cluster, ended);
  answerErrors(app, options.logger);
  noteRequests(app, options);
  return app;
}

/** Decides who may go on before anything of the body is read. */
function admit(app: FastifyInstance, { access }: ApiOptions, guard: Guard): void {
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
function limitBodies(app: FastifyInstance, { clock }: Cluster, ended: AbortSignal): void {
  app.addHook('preParsing', async request => {
    if (request.routeOptions.config.route !== 'putObject') cutUnlessWhole(request, BODY_TIMEOUT_MS, clock, ended);
  });
  app.addHook('onResponse', async request => {
    cutUnlessWhole(request, REFUSED_BODY_MS, clock, ended);
  });
}

function cutUnlessWhole({ raw }: FastifyRequest, ms: number, clock: Clock, ended: AbortSignal): void {
  if (raw.complete) return;
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
    const close = request.raw.complete ? {} : { connection: 'close' };
    return reply
      .code(status)
      .headers({ ...headers, ...close })
      .send(body);
  });
}

function noteRequests(app: FastifyInstance, { logger, metrics }: ApiOptions): void {
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
    if (request.method === 'GET' && reply.statusCode < 500) logger.debug('Request', fields);
    else logger.info('Request', fields);
  });
}

/** A client's own id of a request is noted, so that its log and ours can be read together; ours is the one we answer with. */
function clientRequestId(header: string | string[] | undefined): { clientRequestId?: string } {
  return typeof header === 'string' && /^[\w.:-]{1,64}$/.test(header) ? { clientRequestId: header } : {};
}

async function bind(app: FastifyInstance, { host, port }: { host: string; port: number }): Promise<void> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    const refuse = (code: 'conflict' | 'forbidden' | 'invalid', why: string) =>
      new CiError(code, `Cannot listen on ${host}:${port} as ${why}`, { cause: error });
    switch ((error as NodeJS.ErrnoException).code) {
      case 'EADDRINUSE':
        throw refuse('conflict', 'the port is taken. Give another with --listen, or end the program that has it');
      case 'EACCES':
        throw refuse('forbidden', 'this user may not: ports below 1024 take root. Give another with --listen');
      case 'EADDRNOTAVAIL':
      case 'ENOTFOUND':
        throw refuse('invalid', 'this machine has no such address. Give another with --listen');
      default:
        throw error;
    }
  }
}

async function close(app: FastifyInstance, cluster: Cluster, graceMs: number, ended: AbortController): Promise<void> {
  const patience = new AbortController();
  const cut = cluster.clock.sleep(graceMs, patience.signal).then(
    () => {
      ended.abort(new CiError('unavailable', 'Cannot finish the request as the node is stopping'));
      app.server.closeAllConnections();
    },
    () => undefined,
  );
  await app.close();
  patience.abort();
  await cut;
}

function trimSlash(url: string | undefined): string | undefined {
  return url?.replace(/\/+$/, '');
}

/** Of a node that listens everywhere, the first address that is not this machine's own. */
function reachableHost(host: string): string {
  if (host !== '0.0.0.0' && host !== '::') return host.includes(':') ? `[${host}]` : host;
  const outer = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? []);
  return outer.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';
}
