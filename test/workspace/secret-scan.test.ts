import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { refuseSecrets } from '../../node-runtime/workspace/secret-scan.ts';
import { isCiError } from '../../shared/errors.ts';
import { GitWorkspace } from '../support/git-workspace.ts';

/** Put together here, so that no scanner takes this file for what it warns of. */
const KEY_ID = ['AKIA', 'IOSFODNN7QWERTYU'].join('');
const PRIVATE_KEY = ['-----BEGIN RSA PRIVATE', 'KEY-----\nMIIE\n'].join(' ');

async function secretsOf(user: GitWorkspace): Promise<string[]> {
  return (await user.snapshot()).secrets.map(({ path }) => path).sort();
}

describe('secret-looking untracked files', () => {
  test('are found by name', async () => {
    using user = GitWorkspace.repository();
    const secret = [
      '.env',
      '.env.local',
      'prod.env',
      'a/id_rsa',
      'b/id_ed25519',
      'store.p12',
      '.netrc',
      '.aws/credentials',
      'kubeconfig',
      '.kube/config',
      'credentials.json',
      'secrets.yaml',
      'terraform.tfstate',
    ];
    const harmless = [
      '.env.example',
      '.env.sample',
      'env.ts',
      'id_rsa.pub',
      'src/credentials.ts',
      'environment',
      'secrets.template.yaml',
      '.envoy',
    ];
    for (const name of [...secret, ...harmless]) user.write(name, 'x\n');
    assert.deepEqual(await secretsOf(user), secret.sort());
  });

  test('are found by what is in them', async () => {
    using user = GitWorkspace.repository();
    user.write('key.pem', PRIVATE_KEY);
    user.write('certificate.pem', '-----BEGIN CERTIFICATE-----\nMIIE\n');
    user.write('notes.txt', `the key is ${KEY_ID}\n`);
    user.write('.npmrc', 'registry=https://example.com\n//example.com/:_authToken=abcdef\n');
    user.write('sub/.npmrc', `//example.com/:_authToken=$${'{NPM_TOKEN}'}\n`);
    user.write('.pypirc', '[pypi]\nusername = me\npassword = hunter22\n');
    user.write('big.bin', PRIVATE_KEY + 'x'.repeat(300_000));
    assert.deepEqual(await secretsOf(user), ['.npmrc', '.pypirc', 'key.pem', 'notes.txt']);
  });

  test('are those that no commit has and no rule ignores', async () => {
    using user = GitWorkspace.repository();
    user.write('.env', 'x\n');
    user.commitAll();
    user.write('.gitignore', 'ignored\n');
    user.write('ignored/.env', 'x\n');
    assert.deepEqual(await secretsOf(user), []);
    user.git('rm', '--quiet', '--cached', '.env');
    assert.deepEqual(await secretsOf(user), ['.env']);
  });

  test('stay found while they are there, and only then', async () => {
    using user = new GitWorkspace();
    user.write('a', PRIVATE_KEY);
    assert.deepEqual(await secretsOf(user), ['a']);
    assert.deepEqual(await secretsOf(user), ['a']);
    user.write('b', `${KEY_ID}\n`);
    assert.deepEqual(await secretsOf(user), ['a', 'b']);
    user.write('a', 'nothing\n');
    user.remove('b');
    assert.deepEqual(await secretsOf(user), []);
  });

  test('are found in a file that changed while another came', async () => {
    using user = new GitWorkspace();
    user.write('a', 'nothing\n');
    assert.deepEqual(await secretsOf(user), []);
    user.write('a', PRIVATE_KEY);
    user.write('b', 'nothing\n');
    assert.deepEqual(await secretsOf(user), ['a']);
  });

  test('are refused by name and reason', async () => {
    using user = new GitWorkspace();
    user.write('.env', 'A=b\n');
    const { secrets } = await user.snapshot();
    assert.throws(
      () => refuseSecrets(secrets),
      (error: unknown) =>
        isCiError(error, 'invalid') && /"\.env" \(it is named like.*--allow-secrets/.test(error.message),
    );
    refuseSecrets([]);
  });
});
