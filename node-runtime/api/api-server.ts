import type { AddressInfo, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { FastifyInstance } from 'fastify';
import { CiError } from '../../shared/errors.ts';
import type { NodeId } from '../../shared/ids.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Logs, TaskLogs } from '../logs/logs.ts';
import type { AddressSigner } from '../objects/signed-address.ts';
import type { TasksService } from '../queue/tasks-service.ts';
import type { Logger } from '../system/logger.ts';
import type { Metrics } from '../system/metrics.ts';
import type { AccessControl } from './access.ts';
import { artifactHandlers } from './artifact-routes.ts';
import { demandHandlers } from './demand-routes.ts';
import type { Handlers } from './handlers.ts';
import { type ListenAddress, listenFailure } from './held-port.ts';
import { healthHandlers } from './health-routes.ts';
import { createHttpApp } from './http-app.ts';
import { logHandlers } from './log-routes.ts';
import { nodeHandlers } from './node-routes.ts';
import { objectHandlers } from './object-routes.ts';
import { registerRoutes } from './register-routes.ts';
import { createGuard } from './request-guard.ts';
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
  readonly listen: ListenAddress;
  /** What kept the place until now, if anything did: it ends when the server takes it. */
  readonly heldPort?: AsyncDisposable | undefined;
  /** The URL under which others reach this node, such as `http://ci-3.example.org:7100`. Default: where it listens. */
  readonly advertise?: string | undefined;
  /** More host names under which the node is reached, and more origins whose pages may open WebSockets. */
  readonly hosts?: readonly string[] | undefined;
  readonly origins?: readonly string[] | undefined;
  readonly tasks: TasksService;
  readonly taskLogs: TaskLogs;
  readonly logs: Pick<Logs, 'read' | 'outline'>;
  readonly access: AccessControl;
  /** Undefined: secrets cannot be set at this node. */
  readonly secretsKey?: Buffer | undefined;
  /** With what a directory store signs its addresses; undefined for stores that serve their own. */
  readonly signedObjects?: AddressSigner | undefined;
  /** Why the node cannot take requests now; undefined when it can. */
  readonly isReady: () => string | undefined;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export interface ApiServer extends AsyncDisposable {
  /** The URL that others reach, without a slash at its end. */
  readonly address: string;
  /** Takes nothing new, lets requests under way end for up to `graceMs`, then cuts them; ends all sockets. */
  stop(options: { readonly graceMs: number }): Promise<void>;
}

/** Serves the API until it is stopped. Rejects with `conflict` when the port is taken. */
export async function startApi(options: ApiOptions): Promise<ApiServer> {
  const { listen, advertise, hosts, origins } = options;
  const ended = new AbortController();
  const guard = createGuard({ listenHost: listen.host, advertise, hosts, origins });
  const { clock } = options.cluster;
  const app = createHttpApp({ ...options, guard, clock, ended: ended.signal });
  const sockets = new SocketServer(options, guard);
  app.server.on('upgrade', (request, socket, head) => void sockets.upgrade(request, socket as Socket, head));
  registerRoutes(app, handlersOf(options), ended.signal);
  await bind(app, options);
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
    ...demandHandlers(options),
    ...tokenHandlers(options),
    ...secretHandlers(options),
    ...objectHandlers(options),
    ...healthHandlers(options),
  };
}

async function bind(app: FastifyInstance, { listen, heldPort }: ApiOptions): Promise<void> {
  await app.ready();
  await heldPort?.[Symbol.asyncDispose]();
  try {
    await app.listen({ ...listen });
  } catch (error) {
    await app.close();
    throw listenFailure(error, listen);
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
