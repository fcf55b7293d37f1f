import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { DEFAULT_BODY_LIMIT, type Route, type RouteName, routes } from '../../shared/api.ts';
import type { Principal } from './authorize.ts';
import { invalidRequest } from './error-answer.ts';
import type { Handlers, RawAnswer } from './handlers.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before a handler runs; undefined on public routes. */
    principal: Principal | undefined;
  }
  interface FastifyContextConfig {
    /** Absent for addresses that are no route. */
    route?: RouteName;
  }
}

/** Puts every route of the table onto the server; what a request must look like comes from there alone. */
export function registerRoutes(app: FastifyInstance, handlers: Handlers, ended: AbortSignal): void {
  for (const name of Object.keys(routes) as RouteName[]) {
    if (name !== 'putObject') registerRoute(app, name, handlers, ended);
  }
  void app.register((scope, _options, done) => {
    // Bytes of any type, which the handler reads itself.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, parsed) => parsed(null));
    registerRoute(scope, 'putObject', handlers, ended);
    done();
  });
}

function registerRoute(app: FastifyInstance, name: RouteName, handlers: Handlers, ended: AbortSignal): void {
  const route: Route = routes[name];
  app.route({
    method: route.method,
    url: route.path,
    config: { route: name },
    bodyLimit: route.bodyLimit ?? DEFAULT_BODY_LIMIT,
    handler: async (request, reply) => {
      const parts = readParts(route, request);
      const handler = handlers[name] as (request: unknown) => Promise<unknown>;
      const { principal, raw: incoming } = request;
      const answer = await handler({ ...parts, principal, incoming, signal: requestSignal(reply, ended) });
      return route.response ? answer : sendRaw(reply, answer as RawAnswer | undefined);
    },
  });
}

function readParts(route: Route, request: FastifyRequest) {
  return {
    params: readPart('address', route.params, request.params),
    query: readPart('query', route.query, request.query),
    body: readPart('body', route.body, request.body),
  };
}

function readPart(part: string, schema: z.ZodType | undefined, value: unknown): unknown {
  if (!schema) return undefined;
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalidRequest(part, value, parsed.error);
  return parsed.data;
}

/** Fires when the client is gone before it was answered. */
function requestSignal(reply: FastifyReply, ended: AbortSignal): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new DOMException('The client has gone', 'AbortError'));
  });
  return AbortSignal.any([gone.signal, ended]);
}

function sendRaw(reply: FastifyReply, answer: RawAnswer | undefined): FastifyReply {
  if (answer === undefined) return reply.code(204).send();
  const { status = 200, headers = {}, body } = answer;
  reply.code(status).headers(headers);
  return reply.send(body instanceof Uint8Array && !(body instanceof Readable) ? Buffer.from(body) : body);
}
