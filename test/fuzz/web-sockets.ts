import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { newTaskId } from '../../shared/ids.ts';
import { ServerMessage, SOCKET_PATH, SOCKET_PROTOCOL } from '../../shared/socket-protocol.ts';
import { type TestApi, testApi } from '../support/test-api.ts';
import { openSocket } from '../support/test-socket.ts';
import { eventually, submit } from '../support/test-tasks.ts';
import { damaged, edits } from './damaged.ts';
import { type FuzzTarget, fuzzing } from './fuzz-target.ts';

const task = newTaskId(5, 1_790_000_000_000, Math.random);
/** The codes with which a socket may end: closed by its client, a broken frame, bytes that are no text, abuse, too large. */
const CLOSE_CODES = [1000, 1002, 1005, 1006, 1007, 1008, 1009];
const WRONG_ALLOWED = 10;

const numbers = fc.oneof(fc.constantFrom(0, 1, 2), fc.integer(), fc.double(), fc.constantFrom(-1, 2 ** 32, 2 ** 53));
/** What is nearly a message, and sometimes one. */
const near = fc.record(
  {
    type: fc.constantFrom('subscribe', 'subscribe', 'unsubscribe', 'credit', 'x'),
    id: numbers,
    topic: fc.constantFrom('tasks', 'nodes', 'log', 'log', 'x'),
    task: fc.oneof(fc.string(), fc.constant(task), fc.constant(`${task}.lock`)),
    attempt: numbers,
    bytes: numbers,
    tail: numbers,
    from: fc.record({ fence: numbers, offset: numbers }, { requiredKeys: [] }),
    follow: fc.boolean(),
    local: fc.boolean(),
  },
  { requiredKeys: [] },
);
const sayings = fc.oneof(
  { weight: 6, arbitrary: near.map(value => JSON.stringify(value)) },
  { weight: 2, arbitrary: fc.json() },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
  { weight: 1, arbitrary: fc.uint8Array() },
);
/** Frames as bytes: a masked ping, text, a fragment, a close; and what has been damaged of them. */
const frames = fc
  .tuple(fc.constantFrom(0x81, 0x82, 0x01, 0x80, 0x88, 0x89, 0x8a, 0xc1, 0xf3), fc.uint8Array({ maxLength: 125 }))
  .map(([kind, payload]) => Buffer.from([kind, 0x80 | payload.length, 0, 0, 0, 0, ...payload]));
const wire = fc.tuple(fc.array(frames, { maxLength: 6 }), edits, fc.boolean());

export const webSocketTargets: readonly FuzzTarget[] = [
  {
    name: 'WebSockets: whatever is said is answered or refused by the rules, and the node lives',
    runs: 60,
    start: () =>
      withNode((api, token) =>
        fc.asyncProperty(fc.array(sayings, { maxLength: 25 }), async all => {
          const { socket, messages, closed } = await openSocket(api.url, token);
          for (const one of all) socket.send(one);
          // Answered after all that was said before, if the socket is still there.
          socket.ping();
          await Promise.race([once(socket, 'pong'), closed]);
          socket.close();
          assert.ok(CLOSE_CODES.includes(await closed), `closed with ${await closed}`);
          for (const message of messages) ServerMessage.parse(message);
          const wrong = messages.filter(message => message.type === 'error' && message.id === undefined);
          assert.ok(wrong.length <= WRONG_ALLOWED, `${wrong.length} complaints`);
          assert.ok(wrong.length < WRONG_ALLOWED || (await closed) === 1008);
          await isWell(api);
        }),
      ),
  },
  {
    name: 'WebSockets: whatever bytes come instead of frames, the node lives',
    runs: 60,
    start: () =>
      withNode((api, token) =>
        fc.asyncProperty(wire, async ([list, changes, isBroken]) => {
          const bytes = Buffer.concat(list);
          const socket = await upgrade(api.url, token);
          const closed = once(socket, 'close');
          socket.end(isBroken ? damaged(bytes, changes) : bytes);
          await closed;
          await isWell(api);
        }),
      ),
  },
];

/** A node with a task that has a log, in which a bug would show. */
async function withNode(property: (api: TestApi, token: string) => fc.IRawProperty<unknown>) {
  const api = await testApi();
  await submit(api.cluster);
  api.logs.attempt(1);
  api.logs.print('hello\n'.repeat(1000));
  return fuzzing(property(api, await api.token('viewer')), async () => api[Symbol.asyncDispose]());
}

/** No bug was logged, nothing of the sockets is left, and it answers. */
async function isWell(api: TestApi): Promise<void> {
  assert.deepEqual(
    api.lines.filter(({ level }) => level === 'error'),
    [],
  );
  api.lines.length = 0;
  await eventually('all subscriptions have ended', async () => (await count(api)) === 0 || undefined);
  assert.equal((await fetch(`${api.url}/livez`)).status, 200);
}

async function count({ metrics }: TestApi): Promise<number> {
  const all = [await metrics.sockets.get(), await metrics.subscriptions.get()];
  return all.flatMap(({ values }) => values).reduce((sum, { value }) => sum + value, 0);
}

/** The connection of a WebSocket, to write anything to. */
async function upgrade(url: string, token: string): Promise<Socket> {
  const headers = {
    authorization: `Bearer ${token}`,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': Buffer.alloc(16).toString('base64'),
    'sec-websocket-protocol': SOCKET_PROTOCOL,
  };
  const asking = request(`${url}${SOCKET_PATH}`, { headers, agent: false }).end();
  const [, socket] = (await once(asking, 'upgrade')) as [unknown, Socket];
  socket.on('error', () => undefined).resume();
  return socket;
}
