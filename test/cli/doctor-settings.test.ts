import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Finding } from '../../node-runtime/system/finding.ts';
import { cli, type CliSetting } from '../support/run-cli.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

// Nothing listens at port 1: what is said of the stores themselves is not looked at here.
const ETCD = 'http://127.0.0.1:1';
const S3 = 's3://acme-ci?endpoint=http://127.0.0.1:1';

/** What the doctor says under a title, a line each. */
async function examine(title: string, argv: readonly string[], setting: CliSetting = {}): Promise<string[]> {
  await using folder = await temporaryFolder();
  const home = setting.home ?? folder.path;
  const env = { PATH: process.env.PATH ?? '', ...setting.env };
  const { json } = await cli(['doctor', '--json', '--data', folder.path, ...argv], { ...setting, home, env });
  const { findings } = json[0] as unknown as { findings: (Finding & { about: string })[] };
  return findings
    .filter(({ about }) => about === title)
    .map(({ level, subject, what }) => `${level}: ${subject}: ${what}`);
}

test('only what is asked for is looked at', async () => {
  const all = ['--etcd', ETCD, '--s3', S3];
  assert.notDeepEqual(await examine('Settings', all), []);
  assert.deepEqual(await examine('Settings', [...all, '--only', 'machine,isolation']), []);
  const { code, err } = await cli(['doctor', '--only', 'machine,ectd']);
  assert.equal(code, 2);
  assert.match(err, /Cannot use --only as it is none of machine, isolation, settings, etcd, s3, cluster: "ectd"/);
});

test('etcd without S3 is refused', async () => {
  assert.match(
    (await examine('Settings', ['--etcd', ETCD]))[0]!,
    /^problem: stores: etcd without S3: each node would keep/,
  );
});

test('a password on the command line is refused, in a variable it is not', async () => {
  const etcd = 'http://ci:secret@127.0.0.1:1';
  const told = (found: readonly string[]) => found.filter(line => line.includes('password'));
  assert.match(told(await examine('Settings', ['--etcd', etcd]))[0]!, /^problem: password: .* on the command line/);
  assert.deepEqual(told(await examine('Settings', [], { env: { SIMPLE_CI_ETCD: etcd } })), []);
});

test('a password file that everybody can read is refused', async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'password');
  await writeFile(file, 'secret', { mode: 0o644 });
  const argv = ['--etcd', ETCD, '--etcd-user', 'ci', '--etcd-password-file', file];
  const look = async () => (await examine('Settings', argv)).filter(line => line.includes(file));
  assert.deepEqual(await look(), [`problem: password: Everybody can read ${file}, and so can tasks`]);
  await chmod(file, 0o600);
  assert.deepEqual(await look(), [`ok: password: ${file} is not for everybody to read`]);
});

test('an S3 on another machine without https is told', async () => {
  const bucket = async (s3: string) => (await examine('Settings', ['--etcd', ETCD, '--s3', s3])).at(-1);
  assert.equal(await bucket(S3), 'ok: bucket: acme-ci at http://127.0.0.1:1');
  assert.equal(
    await bucket('s3://acme-ci?endpoint=http://s3.invalid'),
    'warning: bucket: acme-ci at http://s3.invalid',
  );
});

test('a node of a cluster that does not isolate its tasks is refused, one for oneself is not', async () => {
  const isolation: readonly Finding[] = [{ level: 'warning', subject: 'none', what: 'Tasks are NOT isolated' }];
  const title = 'Isolation of tasks';
  assert.deepEqual(await examine(title, ['--etcd', ETCD], { isolation }), ['problem: none: Tasks are NOT isolated']);
  assert.deepEqual(await examine(title, ['--url', 'http://127.0.0.1:1'], { isolation }), [
    'warning: none: Tasks are NOT isolated',
  ]);
});

test('a data folder that everybody can write to is refused', async () => {
  await using folder = await temporaryFolder();
  await chmod(folder.path, 0o777);
  const found = await examine('This machine', ['--etcd', ETCD, '--data', folder.path]);
  assert.ok(
    found.some(line => line.startsWith(`problem: data: Everybody can write to ${folder.path}`)),
    found.join('\n'),
  );
});

test('a data folder in memory is told where it is to hold the cluster', { skip: noMemoryFolder() }, async () => {
  const path = await mkdtemp('/dev/shm/simple-ci-test-');
  try {
    const data = async (...argv: string[]) =>
      (await examine('This machine', ['--data', path, ...argv])).find(line => line.includes(path));
    assert.match((await data())!, /^warning: data: .* is in memory/);
    assert.equal(await data('--etcd', ETCD), `ok: data: ${path}`);
  } finally {
    await rm(path, { recursive: true });
  }
});

function noMemoryFolder(): string | false {
  return existsSync('/dev/shm') ? false : 'this system has no folder in memory';
}
