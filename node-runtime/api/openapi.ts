import { z } from 'zod';
import * as api from '../../shared/api.ts';
import { type Route, type RouteName, routes } from '../../shared/api.ts';
import * as results from '../../shared/result.ts';
import { SOCKET_PATH, SOCKET_PROTOCOL } from '../../shared/socket-protocol.ts';
import * as tasks from '../../shared/task.ts';

type Json = Readonly<Record<string, unknown>>;

/** The API in the words of OpenAPI 3.1, made from the route table that the server itself runs on. */
export function describeApi(version: string): Json {
  const schemas = new Schemas();
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [name, route] of Object.entries<Route>(routes)) {
    const path = openapiPath(route.path);
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: describeRoute(name as RouteName, route, schemas) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Simple CI',
      version,
      description: `Live tasks, nodes and logs come over a WebSocket at ${SOCKET_PATH}, subprotocol ${SOCKET_PROTOCOL}.`,
    },
    paths,
    components: { schemas: schemas.all(), securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
  };
}

function describeRoute(name: RouteName, route: Route, schemas: Schemas): Json {
  const json = (schema: z.ZodType, what: string) => ({
    'application/json': { schema: schemas.reference(schema, `${name}${what}`) },
  });
  const answer = route.response
    ? { 200: { description: 'Done.', content: json(route.response, 'Response') } }
    : { '2XX': { description: 'Done: bytes, text or nothing.' }, '3XX': { description: 'The bytes are elsewhere.' } };
  return {
    operationId: name,
    summary: route.summary,
    ...(route.access === 'public' ? {} : { description: `Role: ${route.access}.`, security: [{ token: [] }] }),
    parameters: [
      ...describeParameters(route.params, 'path', schemas),
      ...describeParameters(route.query, 'query', schemas),
    ],
    ...(route.body && { requestBody: { required: true, content: json(route.body, 'Request') } }),
    responses: {
      ...answer,
      default: { description: 'It failed: the code and a sentence.', content: json(api.ErrorBody, '') },
    },
  };
}

function describeParameters(object: z.ZodObject | undefined, where: 'path' | 'query', schemas: Schemas): Json[] {
  if (!object) return [];
  return Object.entries(object.shape as Record<string, z.ZodType>).map(([name, schema]) => ({
    name: name === '*' ? 'path' : name,
    in: where,
    required: where === 'path',
    schema: schemas.inline(schema),
  }));
}

function openapiPath(path: string): string {
  return path.replace(/:([a-z]+)/gi, '{$1}').replace('*', '{path}');
}

/** Schemas by name, so that the description says once what a task is. */
class Schemas {
  readonly #registry = z.registry<{ id: string }>();

  constructor() {
    for (const module of [tasks, results, api]) {
      for (const [name, value] of Object.entries(module)) {
        if (value instanceof z.ZodType && !this.#registry.has(value)) this.#registry.add(value, { id: name });
      }
    }
  }

  reference(schema: z.ZodType, name: string): Json {
    if (!this.#registry.has(schema)) this.#registry.add(schema, { id: name });
    return { $ref: uri(this.#registry.get(schema)?.id ?? name) };
  }

  inline(schema: z.ZodType): Json {
    return bare(z.toJSONSchema(schema, { io: 'input' }));
  }

  all(): Json {
    const { schemas } = z.toJSONSchema(this.#registry, { uri, io: 'input' });
    return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, bare(schema)]));
  }
}

function uri(id: string): string {
  return `#/components/schemas/${id}`;
}

function bare(schema: object): Json {
  const { $schema: _schema, $id: _id, ...rest } = schema as Record<string, unknown>;
  return rest;
}
