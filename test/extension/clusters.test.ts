import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { ExtensionContext } from 'vscode';
import { systemClock } from '../../extension/clock.ts';
import { ClusterStore } from '../../extension/cluster-store.ts';
import { Clusters, type ClustersOptions } from '../../extension/clusters.ts';
import { extensionParts } from '../support/extension-parts.ts';
import { eventually } from '../support/test-tasks.ts';

/** What VS Code keeps of a user, and the windows that he opens one after the other. */
function userOf(t: TestContext) {
  const state = new Map<string, unknown>();
  const secrets = new Map<string, string>();
  const context = {
    globalState: {
      get: (key: string, absent: unknown) => state.get(key) ?? absent,
      update: async (key: string, value: unknown) => void state.set(key, value),
    },
    secrets: {
      get: async (key: string) => secrets.get(key),
      store: async (key: string, value: string) => void secrets.set(key, value),
      delete: async (key: string) => void secrets.delete(key),
    },
  } as unknown as ExtensionContext;
  const store = new ClusterStore(context);
  const window = (changes: Partial<ClustersOptions> = {}) => {
    const clusters = new Clusters({
      store,
      clock: systemClock,
      findProgram: async () => assert.fail('no local node was asked for'),
      localDataFolder: '',
      localNodeName: '',
      keepsLocalNode: () => false,
      note: () => undefined,
      mayStart: () => true,
      ...changes,
    });
    t.after(() => clusters[Symbol.asyncDispose]());
    return clusters;
  };
  return { store, secrets, window };
}

test('who asks for the local node at the moment at which another has found it dead gets the same new one', async t => {
  const { program, folder } = await extensionParts(t);
  let starts = 0;
  const { window } = userOf(t);
  const clusters = window({
    localDataFolder: join(folder, 'data'),
    localNodeName: 'here',
    keepsLocalNode: () => true,
    findProgram: async () => {
      starts++;
      return program;
    },
  });
  await clusters.useLocal();
  await using ended = new AsyncDisposableStack();
  ended.defer(() => clusters.stopLocal());
  const { pid } = JSON.parse(await readFile(join(folder, 'data', 'kept-node.json'), 'utf8')) as { pid: number };
  process.kill(pid, 'SIGKILL');
  await eventually('it is gone', () => (isRunning(pid) ? undefined : true));
  await Promise.all([clusters.useLocal(), clusters.useLocal()]);
  assert.equal(starts, 2);
  assert.equal(await nodeAsked(clusters), 'here-kept');
});

test('in a workspace that is not trusted the local node that goes on is looked at, and none is started', async t => {
  const { program, folder } = await extensionParts(t);
  const { window } = userOf(t);
  const local = { localDataFolder: join(folder, 'data'), localNodeName: 'here', keepsLocalNode: () => true };
  const trusted = window({ ...local, findProgram: async () => program });
  await trusted.useLocal();
  await using ended = new AsyncDisposableStack();
  ended.defer(() => trusted.stopLocal());
  const untrusted = () => window({ ...local, mayStart: () => false });
  assert.equal(await nodeAsked(await readyIn(untrusted())), 'here-kept');
  await ended.disposeAsync();
  await assert.rejects(untrusted().useLocal(), /Cannot start a local node as this workspace is not trusted/);
});

async function readyIn(clusters: Clusters): Promise<Clusters> {
  await clusters.ready();
  return clusters;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Where what begins with a path goes on to a node. */
async function proxyTo(t: TestContext, nodes: Readonly<Record<string, string>>): Promise<string> {
  const server = createServer(async ({ url = '', headers: { authorization = '' } }, response) => {
    const prefix = url.slice(0, 2);
    const answer = await fetch(`${nodes[prefix]}${url.slice(2)}`, { headers: { authorization } });
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function nodeAsked({ connection }: Clusters): Promise<string> {
  const { node } = await connection.ask('Cannot ask who is there', (client, signal) =>
    client.call('cluster', {}, signal),
  );
  return node;
}

test('of several clusters one is meant, each with its own token, also in the next window; one that is forgotten leaves nothing', async t => {
  const [a, b] = [await (await extensionParts(t)).node('a1'), await (await extensionParts(t)).node('b1')];
  const { store, secrets, window } = userOf(t);
  const clusters = window();
  const first = await clusters.add(a.address.url, a.address.token, t.signal);
  const second = await clusters.add(b.address.url, b.address.token, t.signal);
  assert.equal(await nodeAsked(clusters), 'b1');
  await clusters.use(first);
  assert.equal(await nodeAsked(clusters), 'a1');
  const next = window();
  await next.ready();
  assert.equal(await nodeAsked(next), 'a1');
  await next.remove(first);
  assert.equal(next.connection.connection.kind, 'none');
  assert.deepEqual([store.clusters, [...secrets.values()]], [[second], [b.address.token]]);
  await next.use(first);
  await assert.rejects(nodeAsked(next), /Cannot find the token of local: connect to it again/);
});

test('of two clusters behind one host each keeps its own token', async t => {
  const [a, b] = [await (await extensionParts(t)).node('a1'), await (await extensionParts(t)).node('b1')];
  const host = await proxyTo(t, { '/a': a.address.url, '/b': b.address.url });
  const { store, window } = userOf(t);
  const clusters = window();
  const first = await clusters.add(`${host}/a`, a.address.token, t.signal);
  await clusters.add(`${host}/b/`, b.address.token, t.signal);
  assert.equal(await nodeAsked(clusters), 'b1');
  await clusters.use(first);
  assert.equal(await nodeAsked(clusters), 'a1');
  assert.deepEqual(
    store.clusters.map(({ id }) => id),
    [`${host}/a`, `${host}/b`],
  );
});

test('a local node goes on while another cluster is meant, until it is stopped; then the other one is still meant', async t => {
  const other = await (await extensionParts(t)).node('other');
  const { program, folder } = await extensionParts(t);
  const clusters = userOf(t).window({
    findProgram: async () => program,
    localDataFolder: join(folder, 'data'),
    localNodeName: 'here',
  });
  const told: boolean[] = [];
  clusters.localNodeChanged.on(() => told.push(clusters.hasLocalNode));
  await clusters.useLocal();
  const local = await nodeAsked(clusters);
  await clusters.add(other.address.url, other.address.token, t.signal);
  assert.equal(await nodeAsked(clusters), 'other');
  await clusters.useLocal();
  assert.equal(await nodeAsked(clusters), local);
  await clusters.add(other.address.url, other.address.token, t.signal);
  assert.deepEqual(told, [true]);
  await clusters.stopLocal();
  assert.deepEqual(told, [true, false]);
  assert.equal(await nodeAsked(clusters), 'other');
});

test('a token that the cluster does not know is not kept', async t => {
  const { address } = await (await extensionParts(t)).node('n1');
  const { store, secrets, window } = userOf(t);
  await assert.rejects(window().add(address.url, 'sci_wrong', t.signal), /token/);
  assert.deepEqual([store.clusters, secrets.size], [[], 0]);
});
