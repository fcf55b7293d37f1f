import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { findOnlyFile } from '../../extension/find-only-file.ts';

async function folderWith(t: TestContext, ...files: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'simple-ci-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const file of files) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), '');
  }
  return folder;
}

test('a file that is named without its folder is found where there is one of that name', async t => {
  const folder = await folderWith(t, 'a/b/foo_test.go', 'a/foo.go', 'node_modules/x/foo_test.go', '.git/foo_test.go');
  await symlink(folder, join(folder, 'a/again'));
  assert.equal(await findOnlyFile('foo_test.go', folder), join(folder, 'a/b/foo_test.go'));
});

test('where there are two of that name, or none, none is found', async t => {
  const folder = await folderWith(t, 'foo_test.go', 'a/foo_test.go', 'a/bar_test.go/main.go');
  assert.equal(await findOnlyFile('foo_test.go', folder), undefined);
  assert.equal(await findOnlyFile('bar_test.go', folder), undefined);
  assert.equal(await findOnlyFile('foo_test.go', join(folder, 'none')), undefined);
});

test('in a folder that is too large nothing is looked for', async t => {
  const folder = await folderWith(t, 'foo_test.go', 'a/1', 'a/2');
  assert.equal(await findOnlyFile('foo_test.go', folder, 4), join(folder, 'foo_test.go'));
  assert.equal(await findOnlyFile('foo_test.go', folder, 3), undefined);
});
