import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  activeLogin,
  findLogin,
  loginsFile,
  readLogins,
  withLogin,
  withoutLogin,
  writeLogins,
} from '../../node-runtime/cli/logins.ts';

const login = (cluster: string) => ({ cluster, urls: ['https://ci.example.com'], token: `sci_${cluster}`, added: 1 });

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'simple-ci-logins-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return join(path, 'config');
}

test('without a file there are no logins', async t => {
  assert.deepEqual(await readLogins(await folder(t)), { v: 1, clusters: [] });
});

test('the file of logins can be read by nobody else', async t => {
  const config = await folder(t);
  await writeLogins(config, withLogin(await readLogins(config), login('acme/ci')));
  assert.equal((await stat(loginsFile(config))).mode & 0o777, 0o600);
  assert.equal((await stat(config)).mode & 0o777, 0o700);
});

test('the newest login is the active one, and replaces an older one to its cluster', async t => {
  const config = await folder(t);
  const both = withLogin(withLogin(withLogin({ v: 1, clusters: [] }, login('a')), login('b')), login('a'));
  await writeLogins(config, both);
  const read = await readLogins(config);
  assert.equal(activeLogin(read)?.cluster, 'a');
  assert.deepEqual(
    read.clusters.map(one => one.cluster),
    ['b', 'a'],
  );
});

test('after the active login is forgotten another one is active, or none', () => {
  const both = withLogin(withLogin({ v: 1, clusters: [] }, login('a')), login('b'));
  assert.equal(activeLogin(withoutLogin(both, 'b'))?.cluster, 'a');
  assert.equal(activeLogin(withoutLogin(withoutLogin(both, 'b'), 'a')), undefined);
});

test('a damaged file is refused by its name and not overwritten silently', async t => {
  const config = await folder(t);
  await writeLogins(config, { v: 1, clusters: [] });
  await writeFile(loginsFile(config), '{"v":1,"clusters":[{"cluster":"a"}]}');
  await assert.rejects(readLogins(config), { code: 'invalid', message: /damaged.*logins\.json$/ });
});

test('a login that does not exist is refused with those that do', () => {
  const one = withLogin({ v: 1, clusters: [] }, login('acme/ci'));
  assert.throws(() => findLogin(one, 'acme'), { code: 'not-found', message: /"acme": there is acme\/ci$/ });
});
