import assert from 'node:assert/strict';
import { test } from 'node:test';
import { neverAborted as signal } from '../../node-runtime/system/clock.ts';
import { TestCli } from '../support/run-cli.ts';
import { testApi } from '../support/test-api.ts';

test('demand shows each pool, and as JSON what the API says', async () => {
  await using api = await testApi();
  const { keys, store } = api.cluster;
  const call = { signal, timeoutMs: 3000 };
  const lease = await store.grantLease(30, call);
  const record = JSON.stringify({ v: 1, node: 'n7', instance: 'i', counted: true });
  const then = [
    { put: keys.post('demand'), value: record, lease },
    { put: keys.demand('gpu'), value: '3' },
  ];
  await store.commit({ when: [], then }, call);
  const env = { SIMPLE_CI_URL: api.url, SIMPLE_CI_TOKEN: await api.token('viewer') };
  const { out, code } = await new TestCli({ env }).run('demand');
  assert.equal(code, 0);
  assert.match(out, /POOL +DEMAND +SLOTS +NODES\ngpu +3 +0 +0\n/);
  const { json } = await new TestCli({ env }).run('demand', '--json');
  assert.deepEqual(json, [{ pools: { gpu: { labels: ['gpu'], demand: 3, nodes: 0, slots: 0 } } }]);
});
