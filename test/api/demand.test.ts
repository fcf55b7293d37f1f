import assert from 'node:assert/strict';
import { test } from 'node:test';
import { neverAborted as signal } from '../../node-runtime/system/clock.ts';
import { ask, testApi, type TestApi } from '../support/test-api.ts';

const call = { signal, timeoutMs: 3000 };

/** As the one node that counts would have written it. */
async function write({ cluster }: TestApi, demand: string): Promise<void> {
  const { keys, store } = cluster;
  const lease = await store.grantLease(30, call);
  const node = {
    v: 1,
    node: 'n7',
    instance: 'n7-instance',
    slots: 4,
    labels: [],
    address: '',
    version: '0',
    started: 0,
  };
  const then = [
    { put: keys.post('demand'), value: JSON.stringify({ ...node, counted: true }), lease },
    { put: keys.member('n7' as never), value: JSON.stringify({ ...node, draining: false, isolation: 'none' }), lease },
    { put: keys.demand('default'), value: demand },
    { put: keys.demand('linux_x64'), value: '0' },
  ];
  await store.commit({ when: [], then }, call);
}

test('the demand is told for each pool, with who is there to meet it', async () => {
  await using api = await testApi();
  await write(api, '13');
  const { status, json } = await ask(`${api.url}/v1/demand`, { token: await api.token('viewer') });
  assert.equal(status, 200);
  assert.deepEqual(json, {
    pools: {
      default: { labels: [], demand: 13, nodes: 1, slots: 4 },
      linux_x64: { labels: ['linux', 'x64'], demand: 0, nodes: 0, slots: 0 },
    },
  });
});

test('what is not known is an error, never 0', async () => {
  await using api = await testApi();
  const token = await api.token('viewer');
  assert.equal((await ask(`${api.url}/v1/demand`, { token })).status, 503);
  await write(api, 'many');
  const { status, json } = await ask(`${api.url}/v1/demand`, { token });
  assert.equal(status, 503);
  assert.match(json.error?.message ?? '', /^Cannot tell the demand as test\/ci\/demand\/default is no number: many$/);
});
