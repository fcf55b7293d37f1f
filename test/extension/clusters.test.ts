import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { ExtensionContext } from 'vscode';
import { systemClock } from '../../extension/clock.ts';
import { ClusterStore } from '../../extension/cluster-store.ts';
import { Clusters } from '../../extension/clusters.ts';
import { extensionParts } from '../support/extension-parts.ts';

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
  const window = () => {
    const clusters = new Clusters({
      store,
      clock: systemClock,
      findProgram: async () => assert.fail('no local node was asked for'),
      localDataFolder: '',
      localNodeName: '',
      keepsLocalNode: () => false,
      note: () => undefined,
      mayStart: () => true,
    });
    t.after(() => clusters[Symbol.asyncDispose]());
    return clusters;
  };
  return { store, secrets, window };
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

test('a token that the cluster does not know is not kept', async t => {
  const { address } = await (await extensionParts(t)).node('n1');
  const { store, secrets, window } = userOf(t);
  await assert.rejects(window().add(address.url, 'sci_wrong', t.signal), /token/);
  assert.deepEqual([store.clusters, secrets.size], [[], 0]);
});
