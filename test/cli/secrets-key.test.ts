import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ownSecretsKey } from '../../node-runtime/cli/secrets-key.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('of many who make the key of one machine at once all get the same, and nothing is left beside it', async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'local', 'secrets-key');
  const keys = await Promise.all(Array.from({ length: 20 }, () => ownSecretsKey(file)));
  assert.equal(new Set(keys.map(key => key.toString('hex'))).size, 1);
  assert.deepEqual(readdirSync(join(folder.path, 'local')), ['secrets-key']);
});

test('a folder that cannot be made is named', async () => {
  await using folder = await temporaryFolder();
  writeFileSync(join(folder.path, 'file'), '');
  const file = join(folder.path, 'file', 'secrets-key');
  await assert.rejects(ownSecretsKey(file), { code: 'invalid', message: /^Cannot keep data in this folder: .*file$/ });
});
