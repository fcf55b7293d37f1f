import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import {
  deleteSecret,
  listSecrets,
  parseSecretsKey,
  putSecret,
  readSecrets,
} from '../../node-runtime/cluster/secrets.ts';
import { ensureAdminToken } from '../../node-runtime/cluster/tokens.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { isCiError } from '../../shared/errors.ts';
import { testCluster } from '../support/test-cluster.ts';

const key = randomBytes(32);

describe('secrets', () => {
  test('a secret reads back under its name, and one that is not there is left out', async () => {
    await using cluster = await testCluster();
    await putSecret(cluster, key, 'TOKEN', 'p4ss\nwörd', neverAborted);
    const values = await readSecrets(cluster, key, ['TOKEN', 'OTHER'], neverAborted);
    assert.deepEqual([...values], [['TOKEN', 'p4ss\nwörd']]);
  });

  test('the store never sees a value', async () => {
    await using cluster = await testCluster();
    await putSecret(cluster, key, 'TOKEN', 'canary-in-a-mine', neverAborted);
    const call = { signal: neverAborted, timeoutMs: 1000 };
    const { records } = await cluster.store.range({ prefix: cluster.keys.root, limit: 100 }, call);
    const text = JSON.stringify(records);
    assert.ok(!text.includes('canary') && !text.includes(Buffer.from('canary').toString('base64').slice(0, 6)));
  });

  test('lists have names and times, and not the key of the cluster', async () => {
    await using cluster = await testCluster();
    await ensureAdminToken(cluster, neverAborted);
    await putSecret(cluster, key, 'B', 'value-b', neverAborted);
    await putSecret(cluster, key, 'A', 'value-a', neverAborted);
    assert.deepEqual(
      (await listSecrets(cluster, neverAborted)).map(({ name }) => name),
      ['A', 'B'],
    );
  });

  test('the key of the cluster is no secret that could be set, read or deleted', async () => {
    await using cluster = await testCluster();
    await ensureAdminToken(cluster, neverAborted);
    await assert.rejects(putSecret(cluster, key, 'cluster-key', 'hunter2', neverAborted), isCiError);
    await assert.rejects(deleteSecret(cluster, 'cluster-key', neverAborted), error => isCiError(error, 'not-found'));
    assert.equal((await readSecrets(cluster, key, ['cluster-key'], neverAborted)).size, 0);
  });

  test('what was stored under one name does not decrypt under another', async () => {
    await using cluster = await testCluster();
    await putSecret(cluster, key, 'A', 'value-a', neverAborted);
    const call = { signal: neverAborted, timeoutMs: 1000 };
    const { value } = (await cluster.store.range({ key: cluster.keys.secret('A'), limit: 1 }, call)).records[0]!;
    await cluster.store.commit({ when: [], then: [{ put: cluster.keys.secret('B'), value }] }, call);
    await assert.rejects(readSecrets(cluster, key, ['B'], neverAborted), error => isCiError(error, 'unavailable'));
  });

  test('another key does not open it, and the failure is not the task’s', async () => {
    await using cluster = await testCluster();
    await putSecret(cluster, key, 'A', 'value-a', neverAborted);
    const reading = readSecrets(cluster, randomBytes(32), ['A'], neverAborted);
    await assert.rejects(reading, error => isCiError(error, 'unavailable') && /another key/.test(error.message));
  });

  test('a node without a key says how to get one', async () => {
    await using cluster = await testCluster();
    const setting = putSecret(cluster, undefined, 'A', 'value-a', neverAborted);
    await assert.rejects(setting, error => isCiError(error, 'unavailable') && /--secrets-key/.test(error.message));
  });

  test('a deleted secret is gone, and deleting it again says so', async () => {
    await using cluster = await testCluster();
    await putSecret(cluster, key, 'A', 'value-a', neverAborted);
    await deleteSecret(cluster, 'A', neverAborted);
    await assert.rejects(deleteSecret(cluster, 'A', neverAborted), error => isCiError(error, 'not-found'));
  });

  test('a key file holds 32 bytes in base64 or hex, and nothing else will do', () => {
    assert.deepEqual(parseSecretsKey(`${key.toString('base64')}\n`), key);
    assert.deepEqual(parseSecretsKey(key.toString('hex')), key);
    for (const text of ['', 'secret', key.toString('hex').slice(2)])
      assert.throws(
        () => parseSecretsKey(text),
        error => isCiError(error, 'invalid'),
      );
  });
});
