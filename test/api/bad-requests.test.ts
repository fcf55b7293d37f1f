import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { ErrorBody } from '../../shared/api.ts';
import { isCiError } from '../../shared/errors.ts';
import { newTaskId } from '../../shared/ids.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ask, type TestApi, testApi } from '../support/test-api.ts';
import { eventually } from '../support/test-tasks.ts';

describe('bad requests', () => {
  let api: TestApi;
  let token: string;
  before(async () => {
    api = await testApi({ api: { hosts: ['ci.example.org'], origins: ['https://pages.example.org'] } });
    token = await api.token('admin');
  });
  after(() => api[Symbol.asyncDispose]());

  const submit = (body: string, headers: Record<string, string> = {}) =>
    ask(`${api.url}/v1/tasks`, { method: 'POST', token, body, headers });

  /** Sends headers that fetch would not. */
  const withHeaders = (headers: Record<string, string>, path = '/v1/cluster') =>
    new Promise<{ status: number; code: string | undefined }>((resolve, reject) => {
      const { port } = new URL(api.url);
      const all = { authorization: `Bearer ${token}`, ...headers };
      const sent = httpRequest({ host: '127.0.0.1', port, path, headers: all, agent: false }, response => {
        let text = '';
        response.on('data', data => {
          text += data;
        });
        response.on('end', () => resolve({ status: response.statusCode!, code: JSON.parse(text).error?.code }));
      });
      sent.on('error', reject).end();
    });

  /** Sends bytes that are no proper request, and reads until the node closes. */
  const raw = (bytes: string | Uint8Array) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(api.url).port), '127.0.0.1', () => socket.write(bytes));
      let text = '';
      socket.on('data', data => {
        text += data;
      });
      socket.on('error', reject).on('close', () => resolve(text));
    });

  test('an address that is no route is not found, in the shape of every error', async () => {
    const { status, headers, json } = await ask(`${api.url}/v2/nothing`, { token });
    const { error } = ErrorBody.parse(json);
    assert.deepEqual([status, error.code, headers.get('x-request-id')], [404, 'not-found', error.requestId]);
  });

  test('a body that is not JSON is invalid', async () => {
    const { status, json } = await submit('{"task": {');
    assert.deepEqual([status, json.error?.code], [400, 'invalid']);
  });

  test('a body of another type is invalid', async () => {
    const { status, json } = await submit('a=1', { 'content-type': 'application/x-www-form-urlencoded' });
    assert.deepEqual([status, json.error?.code], [400, 'invalid']);
  });

  test('a field of a wrong type is named', async () => {
    const { json } = await submit(JSON.stringify({ task: { name: 'x', steps: [{ run: 5 }] } }));
    assert.match(json.error!.message, /"body\.task\.steps\.0\.run" is wrong: .*string/);
  });

  test('a body that would change the prototype of objects is invalid', async () => {
    const { status } = await submit('{"task": {"name": "x", "steps": [{"run": "y"}], "__proto__": {"polluted": 1}}}');
    assert.equal(status, 400);
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  });

  test('a body over the limit of its route is too large', async () => {
    const { status, json } = await submit(JSON.stringify({ filler: 'x'.repeat(300_000) }));
    assert.deepEqual([status, json.error?.code], [413, 'too-large']);
    assert.match(json.error!.message, /body is too large: 300013 bytes, at most \d{6}$/);
  });

  test('a task of 70 KiB is too large', async () => {
    const task = { name: 'large', steps: [{ run: 'x'.repeat(70 * 1024) }] };
    const { status, json } = await submit(JSON.stringify({ task }));
    assert.deepEqual([status, json.error?.code], [413, 'too-large']);
    assert.match(json.error!.message, /at most 65536/);
  });

  test('a script with a NUL character, which no program could be given, is invalid', async () => {
    const { json } = await submit(JSON.stringify({ task: { name: 'x', steps: [{ run: 'a\0b' }] } }));
    assert.match(json.error!.message, /steps.*run.*must not hold a NUL character/);
  });

  test('an endless body is refused before it has been read', async () => {
    const head = `POST /v1/tasks HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\n`;
    assert.match(await raw(`${head}content-length: 9999999999\r\n\r\n{`), /^HTTP\/1\.1 413 /);
  });

  test('ids with dots, slashes and worse never name a task', async () => {
    for (const id of ['x.lock', '..%2f..%2fcluster', `${newTaskId(5, 0, Math.random)}.lock`, '%00', 'é'.repeat(26)]) {
      const { status, json } = await ask(`${api.url}/v1/tasks/${id}`, { token });
      assert.deepEqual([status, json.error?.code], [400, 'invalid'], id);
    }
  });

  test('an address that cannot be decoded is invalid', async () => {
    const { status, json } = await ask(`${api.url}/v1/tasks/%ff`, { token });
    assert.deepEqual([status, json.error?.code], [400, 'invalid']);
  });

  test('what is not HTTP is answered with an error and a closed connection', async () => {
    assert.match(await raw('\x16\x03\x01\x02\x00nonsense\r\n\r\n'), /^HTTP\/1\.1 400 [\s\S]*"code":"invalid"/);
  });

  test('headers that are too large are told so, with the limit', async () => {
    const answer = await raw(`GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 413 [\s\S]*headers are too large: at most 16384 bytes/);
  });

  test('a host name that is not the node’s is misdirected, so that no rebound name reaches it', async () => {
    for (const host of ['evil.test', 'evil.test:80', 'localhost.evil.test', '127.0.0.1.evil.test', 'example.org'])
      assert.deepEqual(await withHeaders({ host }), { status: 421, code: 'forbidden' }, host);
  });

  test('addresses in digits, localhost and configured names are hosts of the node', async () => {
    for (const host of ['127.0.0.1:7', 'localhost', '[::1]:7100', '10.1.2.3', 'ci.example.org', 'CI.example.org:80'])
      assert.equal((await withHeaders({ host })).status, 200, host);
  });

  test('a page of another origin may not ask, whatever token it has', async () => {
    for (const origin of ['http://evil.test', 'null', 'http://localhost', 'https://pages.example.org.evil.test'])
      assert.deepEqual(await withHeaders({ origin }), { status: 403, code: 'forbidden' }, origin);
  });

  test('pages of the node itself, of configured origins and of VS Code may ask', async () => {
    for (const origin of [api.url, 'https://pages.example.org', 'vscode-webview://1a2b3c'])
      assert.equal((await withHeaders({ origin })).status, 200, origin);
  });

  test('no answer lets pages of other origins read it', async () => {
    const { headers } = await ask(`${api.url}/livez`);
    assert.equal(headers.get('access-control-allow-origin'), null);
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
  });

  test('a bug is told as such without its details, which are in the log under the same id', async () => {
    const tasks = { get: () => Promise.reject(new TypeError('a detail')) } as never;
    const url = (await api.startAnother({ tasks })).address;
    const { status, json } = await ask(`${url}/v1/tasks/${newTaskId(5, Date.now(), Math.random)}`, { token });
    assert.deepEqual([status, json.error?.code], [500, 'internal']);
    assert.doesNotMatch(json.error!.message, /a detail/);
    const lines = api.lines.filter(({ requestId }) => requestId === json.error!.requestId);
    assert.match(JSON.stringify(lines), /TypeError: a detail/);
  });

  test('the log has each request with its id, its status, who asked, and never a token', async () => {
    const { headers } = await ask(`${api.url}/v1/cluster`, { token, headers: { 'x-request-id': 'mine-1' } });
    const requestId = headers.get('x-request-id');
    const line = await eventually('the line', () => api.lines.find(line => line.requestId === requestId));
    assert.deepEqual([line.status, line.by, line.clientRequestId], [200, 'a admin', 'mine-1']);
    assert.doesNotMatch(JSON.stringify(api.lines), new RegExp(token.split('_')[3]!));
  });

  test('a port that is taken is a conflict that names it', async () => {
    const { port } = new URL(api.url);
    await assert.rejects(
      api.startAnother({ listen: { host: '127.0.0.1', port: Number(port) } }),
      error =>
        isCiError(error, 'conflict') &&
        error.message.includes(`Cannot listen on 127.0.0.1:${port} as the port is taken`),
    );
  });
});

/** The head of a submission whose body is announced to be of this length. */
const submission = (token: string, length: number, ...more: string[]) =>
  `${[
    ...['POST /v1/tasks HTTP/1.1', 'host: localhost', `authorization: Bearer ${token}`],
    ...['content-type: application/json', `content-length: ${length}`, ...more],
  ].join('\r\n')}\r\n\r\n`;

/** A client that closes its side when it wants to, and what it has read. */
function halfOpen(url: string) {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), allowHalfOpen: true });
  let text = '';
  let error: Error | undefined;
  socket.setEncoding('utf8').on('data', data => {
    text += data;
  });
  socket.on('error', failure => {
    error = failure;
  });
  const ended = new Promise<void>(resolve => socket.once('end', () => resolve()).once('close', () => resolve()));
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()));
  /** Resolves when all of it is on its way, or the connection gone. */
  const send = async (bytes: Uint8Array) => {
    if (!socket.write(bytes)) await Promise.race([closed, new Promise(resolve => socket.once('drain', resolve))]);
  };
  return { socket, ended, closed, send, text: () => text, error: () => error };
}

const chunk = Buffer.alloc(65_536, 'x');

test('a body that trickles in is waited for twenty seconds, not for ever', async () => {
  const clock = new FakeClock();
  await using api = await testApi({ clock });
  const { socket, ended, text } = halfOpen(api.url);
  socket.write(`${submission(await api.token('runner'), 100)}{`);
  await eventually('the node to wait for the rest', () => clock.sleeping > 1 || undefined);
  await clock.advance(20_000);
  await ended;
  socket.destroy();
  assert.equal(text(), '');
});

test('headers that are not whole after ten seconds are answered with “try again”, as the node may have been the slow one', async () => {
  await using api = await testApi();
  const { socket, ended, text } = halfOpen(api.url);
  socket.write('GET /livez HTTP/1.1\r\nhost: 127');
  await ended;
  socket.destroy();
  assert.match(text(), /^HTTP\/1\.1 503 [\s\S]*"code":"unavailable","message":"Cannot read the request as its headers/);
});

for (const [who, tokenOf, status] of [
  ['whose body is too large', (api: TestApi) => api.token('runner'), 413],
  ['whom nobody knows', async () => 'sci_nobody', 401],
] as const) {
  test(`a client ${who} and that reads nothing before it has sent all of it reads the whole answer`, async () => {
    await using api = await testApi();
    const { socket, ended, closed, send, text, error } = halfOpen(api.url);
    const chunks = 320;
    socket.pause().write(submission(await tokenOf(api), chunks * chunk.length));
    await eventually('it was answered', () => api.lines.some(line => line.status === status) || undefined);
    for (let n = 0; n < chunks; n++) await send(chunk);
    socket.resume();
    await ended;
    socket.end();
    await closed;
    assert.equal(error(), undefined);
    const [head, body] = text().split('\r\n\r\n');
    assert.match(head!, new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*\r\nconnection: close`));
    ErrorBody.parse(JSON.parse(body!));
  });
}

for (const [what, path] of [
  ['a body that is too large', '/v1/tasks'],
  ['an address that cannot be read', '/v1/%ff'],
] as const) {
  test(`who goes on sending after the answer to ${what} is cut after 64 MiB`, async () => {
    await using api = await testApi();
    const head = submission(await api.token('runner'), 9_999_999_999).replace('/v1/tasks', path);
    const { socket, ended, closed, send, text } = halfOpen(api.url);
    socket.write(head);
    await ended;
    assert.match(text(), /^HTTP\/1\.1 4/);
    let sent = 0;
    for (; !socket.destroyed; sent += chunk.length) await send(chunk);
    await closed;
    assert.ok(sent > 64 * 1_048_576 && sent < 128 * 1_048_576, `${sent} bytes`);
  });
}

test('who sends slowly after the answer is cut after twenty seconds', async () => {
  const clock = new FakeClock();
  await using api = await testApi({ clock });
  const { socket, ended, closed, text } = halfOpen(api.url);
  socket.write(submission(await api.token('runner'), 9_999_999_999));
  await ended;
  assert.match(text(), /^HTTP\/1\.1 413 /);
  for (let second = 0; second < 19; second++) {
    socket.write('x');
    await clock.advance(1000);
  }
  assert.equal(socket.destroyed, false);
  await clock.advance(1000);
  // What is sent to a connection that is gone is how a client learns of it.
  await eventually('it is cut', () => socket.destroyed || !socket.write('x') || undefined);
  await closed;
});

test('a client that asks before it sends is told to go on, or the answer without having sent anything', async () => {
  await using api = await testApi();
  const token = await api.token('runner');
  const asking = async (given: string, length: number) => {
    const client = halfOpen(api.url);
    client.socket.write(submission(given, length, 'expect: 100-continue', 'connection: close'));
    await eventually('an answer', () => client.text().includes('\r\n\r\n') || undefined);
    return client;
  };
  for (const [given, length, status] of [
    [token, 40_000_000, 413],
    ['sci_nobody', 100, 401],
  ] as const) {
    const { socket, ended, text } = await asking(given, length);
    await ended;
    socket.destroy();
    assert.match(text(), new RegExp(`^HTTP/1\\.1 ${status} `));
  }
  const body = JSON.stringify({ task: { name: 'x', steps: [{ run: 'true' }] } });
  const { socket, ended, text } = await asking(token, body.length);
  assert.match(text(), /^HTTP\/1\.1 100 Continue\r\n\r\n$/);
  socket.write(body);
  await ended;
  socket.end();
  assert.match(text(), /\r\n\r\nHTTP\/1\.1 20\d /);
});

test('ten thousand requests without a good token cost the store next to nothing', async () => {
  let reads = 0;
  await using api = await testApi();
  const range = api.cluster.store.range.bind(api.cluster.store);
  api.cluster.store.range = (...args) => {
    reads++;
    return range(...args);
  };
  const good = await api.token('viewer');
  await api.access.authenticate(`Bearer ${good}`, '127.0.0.1');
  const { newTokenText } = await import('../../node-runtime/cluster/token-text.ts');
  const invented = Array.from({ length: 10_000 }, () => newTokenText('admin').text);
  for (const text of invented) await assert.rejects(api.access.authenticate(`Bearer ${text}`, '127.0.0.1'), isCiError);
  assert.ok(reads < 60, `${reads} reads`);
  // Who shares the address and has a token is not kept out.
  assert.equal((await api.access.authenticate(`Bearer ${good}`, '127.0.0.1')).role, 'viewer');
});
