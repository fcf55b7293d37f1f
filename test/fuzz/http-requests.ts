import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ErrorBody, type Route, type RouteName, routes } from '../../shared/api.ts';
import { newTaskId } from '../../shared/ids.ts';
import { type TestApi, testApi } from '../support/test-api.ts';
import { submit } from '../support/test-tasks.ts';
import { type FuzzTarget, fuzzing } from './fuzz-target.ts';

const COMMIT = 'a'.repeat(40);
const PACK = 'b'.repeat(64);

interface Sent {
  readonly path: string;
  readonly query: string;
  readonly body: string | Uint8Array | undefined;
  readonly type: string | undefined;
  readonly range: string | undefined;
}

export const httpRequestTargets: readonly FuzzTarget[] = (Object.keys(routes) as RouteName[]).map(name => ({
  name: `HTTP requests: ${name} answers anything with what it should or an error, never 500, and the node lives`,
  runs: 15,
  start: async () => {
    const api = await testApi({ api: { secretsKey: Buffer.alloc(32, 7) } });
    const known = await submit(api.cluster);
    const token = await api.token('admin');
    const property = fc.asyncProperty(requests(routes[name], known), async sent => {
      const answer = await send(api, routes[name], sent, token);
      // What is not there at the moment may be told as such: no node counts the demand here.
      assert.ok(answer.status < 500 || answer.status === 503, `${answer.status} ${answer.text}`);
      if (answer.status >= 400) ErrorBody.parse(JSON.parse(answer.text));
      assert.deepEqual(
        api.lines.filter(({ level }) => level === 'error'),
        [],
      );
      api.lines.length = 0;
      assert.equal((await fetch(`${api.url}/livez`)).status, 200);
    });
    return fuzzing(property, async () => api[Symbol.asyncDispose]());
  },
}));

/** Texts that mean something to somebody: to a parser, to a path, to a shell, to a store. */
const words = fc.constantFrom(
  ...[
    '',
    '..',
    '.',
    '/',
    '%2f',
    '%00',
    '%',
    '%zz',
    '\u0000',
    '🙂',
    'x.lock',
    '-1',
    '0',
    '1e999',
    'NaN',
    '9007199254740993',
    'null',
  ],
  ...[
    '__proto__',
    'constructor',
    '[object Object]',
    "' or 1=1",
    '$(id)',
    COMMIT,
    PACK,
    'NAME',
    'abcdefgh',
    'x'.repeat(2500),
  ],
);

function requests(route: Route, known: string): fc.Arbitrary<Sent> {
  const value = fc.oneof(words, fc.string(), fc.constant(known), fc.nat().map(String));
  const path = fc.array(value, { minLength: 3, maxLength: 3 }).map(values => filled(route.path, values));
  const names = ['state', 'limit', 'after', 'attempt', 'fence', 'from', 'to', 'expires', 'signature', '__proto__'];
  const query = fc
    .array(fc.tuple(fc.constantFrom(...names), value), { maxLength: 4 })
    .map(pairs =>
      new URLSearchParams(pairs.map(([key, text]) => [key, text.toWellFormed()] as [string, string])).toString(),
    );
  return fc.record({
    path,
    query,
    body: fc.option(bodies(known), { nil: undefined, freq: 8 }),
    type: fc.option(fc.constantFrom('text/plain', 'application/json; charset=utf-16', 'multipart/form-data', 'x'), {
      nil: undefined,
      freq: 8,
    }),
    range: fc.option(fc.constantFrom('bytes=0-', 'bytes=-1', 'bytes=9-2', 'bytes=0-99999999999999999999', 'x'), {
      nil: undefined,
      freq: 8,
    }),
  });
}

/** Anything, JSON, and what nearly is the body of some route. */
function bodies(known: string): fc.Arbitrary<string | Uint8Array> {
  const leaf = fc.oneof(
    words,
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.constant(known),
    fc.constant(undefined),
  );
  const either = <T>(good: T) => fc.oneof(fc.constant(good), leaf);
  const record = (shape: Record<string, fc.Arbitrary<unknown>>) =>
    fc.record(shape, { requiredKeys: [], noNullPrototype: true });
  const task = record({
    name: either('x'),
    steps: fc.oneof(
      fc.array(record({ run: either('true'), env: fc.dictionary(words, words), timeout: leaf }), { maxLength: 3 }),
      leaf,
    ),
    timeout: either('1m'),
    source: fc.oneof(
      record({ type: either('snapshot'), commit: either(COMMIT), tree: either(COMMIT), url: leaf, ref: leaf }),
      leaf,
    ),
    artifacts: fc.array(leaf, { maxLength: 3 }),
    priority: leaf,
    secrets: fc.array(either('NAME'), { maxLength: 2 }),
  });
  const near = record({
    id: fc.oneof(leaf, fc.constantFrom(...Array.from({ length: 20 }, () => newTaskId(5, Date.now(), Math.random)))),
    task,
    commits: fc.array(either(COMMIT), { maxLength: 3 }),
    name: either('a'),
    role: either('viewer'),
    expiresSeconds: either(60),
    value: either('a secret value'),
    v: either(1),
    commit: either(COMMIT),
    tree: either(COMMIT),
    shallow: fc.array(leaf, { maxLength: 2 }),
    packs: fc.array(record({ id: either(PACK), bytes: either(0) }), { maxLength: 3 }),
    created: either(0),
  });
  return fc.oneof(
    { weight: 6, arbitrary: near.map(value => JSON.stringify(value)) },
    { weight: 2, arbitrary: fc.json() },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
    { weight: 1, arbitrary: fc.uint8Array() },
  );
}

/** The path of a route with values for its parameters, mostly escaped. */
function filled(path: string, values: readonly string[]): string {
  let at = 0;
  return path.replace(/:[a-z]+|\*/g, () => escaped(values[at++ % values.length]!));
}

function escaped(text: string): string {
  // Some as they are, where an address can have them at all.
  return /^[!-~]*$/.test(text) && text.includes('%') ? text : encodeURIComponent(text.toWellFormed());
}

async function send(api: TestApi, route: Route, { path, query, body, type, range }: Sent, token: string) {
  const isBodyless = route.method === 'GET' || body === undefined;
  const response = await fetch(`${api.url}${path}${query === '' ? '' : `?${query}`}`, {
    method: route.method,
    redirect: 'manual',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': type ?? 'application/json',
      ...(range !== undefined && { range }),
    },
    ...(!isBodyless && { body: body as string | Uint8Array<ArrayBuffer> }),
  });
  return { status: response.status, text: await response.text() };
}
