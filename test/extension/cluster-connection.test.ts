import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../extension/clock.ts';
import { ClusterConnection } from '../../extension/cluster-connection.ts';
import type { ConnectionState } from '../../extension/connection.ts';
import { NoAnswer } from '../../extension/no-answer.ts';
import { startProgram } from '../../extension/run-program.ts';
import { newTaskId } from '../../shared/ids.ts';
import { extensionParts } from '../support/extension-parts.ts';
import { freePorts } from '../support/free-ports.ts';
import { eventually, taskSpec } from '../support/test-tasks.ts';

function connectionTo(t: TestContext, token: string) {
  const seen: ConnectionState['kind'][] = [];
  const connection = new ClusterConnection({ clock: systemClock, tokenOf: async () => token, note: () => undefined });
  connection.connectionChanged.on(({ kind }) => seen.push(kind));
  t.after(() => connection[Symbol.asyncDispose]());
  const is = (kind: ConnectionState['kind']) =>
    eventually(`it is ${kind}`, () => (connection.connection.kind === kind ? true : undefined), 60_000);
  return { connection, seen, is };
}

const choiceOf = (...urls: string[]) => ({ id: 'test', label: 'test', urls });

test('while somebody looks, tasks and nodes are pushed; while nobody does, nothing is connected', async t => {
  const node = await (await extensionParts(t)).node('n1');
  const { connection, seen, is } = connectionTo(t, node.address.token);
  await connection.choose(choiceOf(node.address.url));
  assert.deepEqual(seen, ['connecting']);
  const want = connection.want();
  await is('connected');
  await eventually('nodes are known', () => connection.state.nodes?.get('n1'));
  await using client = await connection.client();
  const id = newTaskId(5, Date.now(), Math.random);
  await client.call('submitTask', { body: { id, task: taskSpec() } }, t.signal);
  await eventually('the task is seen to its end', () => connection.state.tasks?.get(id)?.outcome);
  want[Symbol.dispose]();
  const later = newTaskId(5, Date.now(), Math.random);
  await client.call('submitTask', { body: { id: later, task: taskSpec() } }, t.signal);
  await eventually('it has ended', async () =>
    (await client.call('getTask', { params: { id: later } }, t.signal)).state === 'finished' ? true : undefined,
  );
  assert.equal(connection.state.tasks?.get(later), undefined);
});

test('who looks again hears when the cluster answers, also where it was connected when nobody looked any more', async t => {
  const node = await (await extensionParts(t)).node('n1');
  const { connection, seen, is } = connectionTo(t, node.address.token);
  await connection.choose(choiceOf(node.address.url));
  const want = connection.want();
  await is('connected');
  want[Symbol.dispose]();
  assert.deepEqual(seen, ['connecting', 'connected']);
  connection.want();
  await eventually('it is told again', () => (seen.length === 3 ? true : undefined));
  assert.equal(seen[2], 'connected');
});

test('a wrong token is refused for good, a right one after it is taken', async t => {
  const node = await (await extensionParts(t)).node('n1');
  let token = `${node.address.token.slice(0, -1)}x`;
  const connection = new ClusterConnection({ clock: systemClock, tokenOf: async () => token, note: () => undefined });
  t.after(() => connection[Symbol.asyncDispose]());
  await connection.choose(choiceOf(node.address.url));
  connection.want();
  const refused = await eventually('it is refused', () =>
    connection.connection.kind === 'refused' ? connection.connection : undefined,
  );
  assert.match(refused.reason, /token/);
  token = node.address.token;
  await connection.tryNow();
  await eventually('it is connected', () => (connection.connection.kind === 'connected' ? true : undefined));
});

test('a cluster that cannot be reached is connected to by itself when it comes', async t => {
  const parts = await extensionParts(t);
  const token = (await parts.node('n1')).address.token;
  const [port] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  const { connection, is } = connectionTo(t, token);
  await connection.choose(choiceOf(url));
  connection.want();
  await is('waiting');
  const words = ['--cluster', 'local', '--listen', `127.0.0.1:${port}`, '--data', join(parts.folder, 'data')];
  const node = startProgram(parts.program, { args: ['node', '--node-id', 'n2', ...words] });
  const ended = once(node, 'close');
  await is('connected');
  node.kill('SIGTERM');
  await ended;
});

test('when the node that was named is gone, another one of the cluster is asked', async t => {
  const parts = await extensionParts(t);
  const first = await parts.node('n1');
  await parts.node('n2');
  const { connection, is } = connectionTo(t, first.address.token);
  await connection.choose(choiceOf(first.address.url));
  connection.want();
  await is('connected');
  await eventually('both are known', () => (connection.state.nodes?.size === 2 ? true : undefined));
  await first.end();
  await eventually('only the other is left', () =>
    connection.connection.kind === 'connected' && connection.state.nodes?.size === 1 ? true : undefined,
  );
  await using client = await connection.client();
  assert.equal((await client.call('cluster', {}, t.signal)).node, 'n2');
});

test('a connection from before the machine slept is made anew, without waiting for it to be found dead', async t => {
  const node = await (await extensionParts(t)).node('n1');
  let asleepMs = 0;
  const clock = { ...systemClock, now: () => Date.now() + asleepMs };
  const reasons: string[] = [];
  const connection = new ClusterConnection({
    clock,
    tokenOf: async () => node.address.token,
    note: text => reasons.push(text),
  });
  t.after(() => connection[Symbol.asyncDispose]());
  const isConnected = () => (connection.connection.kind === 'connected' ? true : undefined);
  await connection.choose(choiceOf(node.address.url));
  connection.want();
  await eventually('it is connected', isConnected);
  asleepMs = 3_600_000;
  await eventually('it is noticed', () => (reasons.length > 0 ? true : undefined));
  assert.deepEqual(reasons, ['test: The machine was asleep']);
  await eventually('it is connected again', isConnected);
});

test('whoever looks while another cluster is chosen sends each only its own token', async t => {
  const [a, b] = [await eavesdropper(t), await eavesdropper(t)];
  const tokenOf = async ({ id }: { readonly id: string }) => `token-of-${id}`;
  const connection = new ClusterConnection({ clock: systemClock, tokenOf, note: () => undefined });
  t.after(() => connection[Symbol.asyncDispose]());
  const choose = (id: string, { url }: { readonly url: string }) => connection.choose({ id, label: id, urls: [url] });
  await choose('a', a);
  connection.want();
  await eventually('a is asked', () => (a.calls.length > 0 ? true : undefined));
  const choosing = choose('b', b);
  // Somebody opens a log at this very moment.
  connection.want();
  await choosing;
  await eventually('b is asked, and asked again', () => (b.calls.length > 1 ? true : undefined));
  assert.deepEqual([...new Set(a.calls)], ['Bearer token-of-a']);
  assert.deepEqual([...new Set(b.calls)], ['Bearer token-of-b']);
});

test('what a busy cluster says in a short time is known at once, and told as one change', async t => {
  const node = await (await extensionParts(t)).node('n1');
  const pause = Promise.withResolvers<void>();
  const pauses = new Set<number>();
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal: AbortSignal) => {
      if (ms >= 1000) return systemClock.sleep(ms, signal);
      pauses.add(ms);
      return pause.promise;
    },
  };
  const { token } = node.address;
  const connection = new ClusterConnection({ clock, tokenOf: async () => token, note: () => undefined });
  t.after(() => connection[Symbol.asyncDispose]());
  let told = 0;
  connection.stateChanged.on(() => told++);
  await connection.choose(choiceOf(node.address.url));
  connection.want();
  await using client = await connection.client();
  for (let count = 0; count < 20; count++) {
    const id = newTaskId(5, Date.now(), Math.random);
    await client.call('submitTask', { body: { id, task: taskSpec() } }, t.signal);
  }
  await eventually('all are known', () => (connection.state.tasks?.size === 20 ? true : undefined));
  assert.deepEqual([told, pauses.size], [0, 1]);
  pause.resolve();
  await eventually('it is told', () => (told > 0 ? true : undefined));
});

test('a question that no node answers fails within seconds, with what was wanted of which cluster at which address', async t => {
  const { url } = await silentNode(t);
  const { connection } = connectionTo(t, 'sci_any');
  await connection.choose(choiceOf(url));
  await assert.rejects(askWhoIsThere(connection), error => {
    assert.ok(error instanceof NoAnswer);
    const wanted = `Cannot ask who is there, as cluster test gave no answer: Cannot reach the node at ${url}: no answer within 6 s`;
    assert.equal(error.message, wanted);
    return true;
  });
});

test('whether a cluster answers is found out before more is done, and not waited for by who has given up', async t => {
  const node = await (await extensionParts(t)).node('n1');
  const { connection } = connectionTo(t, node.address.token);
  await connection.choose(choiceOf(node.address.url));
  await connection.reach('Cannot run test');
  await connection.choose(choiceOf('http://127.0.0.1:1'));
  await assert.rejects(connection.reach('Cannot run test'), /Cannot run test, as cluster test gave no answer/);
  await connection.choose(choiceOf((await silentNode(t)).url));
  const givingUp = new AbortController();
  const reaching = connection.reach('Cannot run test', givingUp.signal);
  const reason = new Error('The user has given up');
  givingUp.abort(reason);
  await assert.rejects(reaching, reason);
});

test('that no node can be reached is said at once where it is known, and found out anew when nobody has looked since', async t => {
  const node = await eavesdropper(t);
  let isStill = false;
  const sleep = (ms: number, signal: AbortSignal) => (isStill ? never(signal) : systemClock.sleep(ms, signal));
  const connection = new ClusterConnection({
    clock: { ...systemClock, sleep },
    tokenOf: async () => 'sci_any',
    note: () => undefined,
  });
  t.after(() => connection[Symbol.asyncDispose]());
  connection.connectionChanged.on(now => {
    // No third try comes by itself.
    isStill = now.kind === 'waiting' && now.failures === 2;
  });
  await connection.choose(choiceOf(node.url));
  const want = connection.want();
  await eventually('it has been tried twice', () => isStill || undefined);
  const before = node.calls.length;
  const isNoAnswer = (error: unknown) => error instanceof NoAnswer && error.message.includes(node.url);
  await assert.rejects(askWhoIsThere(connection), isNoAnswer);
  assert.equal(node.calls.length, before);
  want[Symbol.dispose]();
  await assert.rejects(askWhoIsThere(connection), isNoAnswer);
  assert.ok(node.calls.length > before);
});

test('a question learns the other nodes, goes to them when the first is gone, and the one that answered is asked first', async t => {
  const parts = await extensionParts(t);
  const first = await parts.node('n1');
  const second = await parts.node('n2');
  const { connection } = connectionTo(t, first.address.token);
  const choice = choiceOf(first.address.url);
  await connection.choose(choice);
  assert.equal(await askWhoIsThere(connection), 'n1');
  assert.deepEqual(connection.urlsOf(choice), [first.address.url, second.address.url]);
  await first.end();
  assert.equal(await askWhoIsThere(connection), 'n2');
  assert.deepEqual(connection.urlsOf(choice), [second.address.url, first.address.url]);
  await connection.choose(choiceOf('http://127.0.0.1:1'));
  assert.deepEqual(connection.urlsOf(choice), [first.address.url]);
});

async function askWhoIsThere(connection: ClusterConnection): Promise<string> {
  const { node } = await connection.ask('Cannot ask who is there', (client, signal) =>
    client.call('cluster', {}, signal),
  );
  return node;
}

/** Takes calls, and says nothing ever. */
async function silentNode(t: TestContext) {
  const server = createServer(() => undefined);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function never(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
}

/** Stands where a node would be, hears who comes with which token, and has no answer. */
async function eavesdropper(t: TestContext) {
  const calls: (string | undefined)[] = [];
  const server = createServer(({ headers }, response) => {
    calls.push(headers.authorization);
    setTimeout(() => response.writeHead(503).end(), 20);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { calls, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}
