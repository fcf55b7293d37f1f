import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { routes } from '../../shared/api.ts';
import { ask, testApi } from '../support/test-api.ts';

describe('health', () => {
  test('a node that is not ready says why, and lives', async () => {
    await using api = await testApi({ api: { isReady: () => 'the coordination store cannot be reached' } });
    const response = await fetch(`${api.url}/readyz`);
    assert.deepEqual(
      [response.status, await response.text()],
      [503, 'not ready: the coordination store cannot be reached\n'],
    );
    assert.equal((await fetch(`${api.url}/livez`)).status, 200);
  });

  test('the figures are text that Prometheus reads', async () => {
    await using api = await testApi();
    const headers = { authorization: `Bearer ${await api.token('viewer')}` };
    await (await fetch(`${api.url}/livez`)).text();
    const response = await fetch(`${api.url}/metrics`, { headers });
    const text = await response.text();
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain/);
    assert.match(text, /simple_ci_http_request_seconds_count\{route="livez",status="200"\} 1/);
    assert.match(text, /simple_ci_info\{version="0\.0\.0",node="n1"\} 1/);
    assert.match(text, /process_resident_memory_bytes \d+/);
    for (const line of text.trimEnd().split('\n'))
      assert.match(line, /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{.*\})? [\d.e+-]+|)$/, line);
  });

  test('a request that is under way when the node stops is answered', async () => {
    const { promise: asked, resolve: noteAsked } = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<undefined>();
    const tasks = {
      list: async () => {
        noteAsked();
        await answer.promise;
        return { tasks: [] };
      },
    } as never;
    await using api = await testApi({ api: { tasks } });
    const asking = ask(`${api.url}/v1/tasks`, { token: await api.token('viewer') });
    await asked;
    const stopping = api.server.stop({ graceMs: 30_000 });
    answer.resolve(undefined);
    assert.equal((await asking).status, 200);
    await stopping;
    await assert.rejects(fetch(`${api.url}/livez`));
  });

  test('a request that does not end within the grace is cut', async () => {
    const { promise: asked, resolve: noteAsked } = Promise.withResolvers<void>();
    const tasks = {
      list: (_request: unknown, signal: AbortSignal) => {
        noteAsked();
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
    } as never;
    await using api = await testApi({ api: { tasks } });
    const asking = ask(`${api.url}/v1/tasks`, { token: await api.token('viewer') }).then(
      ({ status }) => status,
      () => 'cut',
    );
    await asked;
    await api.server.stop({ graceMs: 20 });
    assert.ok(['cut', 503].includes(await asking));
  });
});

describe('the description of the API', () => {
  interface Operation {
    operationId: string;
    security?: unknown;
    parameters: { name: string; in: string }[];
    requestBody?: unknown;
  }
  interface Description {
    openapi: string;
    paths: Record<string, Record<string, Operation>>;
    components: { schemas: Record<string, unknown> };
  }

  const description = async () => {
    await using api = await testApi();
    const text = await (await fetch(`${api.url}/openapi.json`)).text();
    return { text, json: JSON.parse(text) as Description };
  };

  test('has every route, with its role, parameters and body', async () => {
    const { json } = await description();
    assert.equal(json.openapi, '3.1.0');
    const operations = new Map(
      Object.values(json.paths).flatMap(path => Object.values(path).map(one => [one.operationId, one])),
    );
    assert.deepEqual([...operations.keys()].sort(), Object.keys(routes).sort());
    for (const [name, route] of Object.entries(routes)) {
      const operation = operations.get(name)!;
      assert.equal(operation.security !== undefined, route.access !== 'public', name);
      assert.equal(operation.requestBody !== undefined, 'body' in route, name);
    }
  });

  test('names every parameter that stands in a path', async () => {
    const { json } = await description();
    for (const [path, operations] of Object.entries(json.paths)) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const { parameters } of Object.values(operations))
        assert.deepEqual(
          parameters.flatMap(one => (one.in === 'path' ? [one.name] : [])),
          inPath,
          path,
        );
    }
  });

  test('refers to no schema that it does not hold', async () => {
    const { json, text } = await description();
    const wanted = new Set([...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name!));
    assert.ok(wanted.size > 20);
    assert.deepEqual(
      [...wanted].filter(name => !(name in json.components.schemas)),
      [],
    );
    assert.ok(!text.includes('$schema') && !text.includes('"$id"'));
  });
});
