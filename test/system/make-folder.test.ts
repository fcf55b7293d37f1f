import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { makeFolder } from '../../node-runtime/system/make-folder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

describe('a folder that is made', () => {
  it('is there with all above it, however many make it at once', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a', 'b', 'c');
    await Promise.all(Array.from({ length: 20 }, () => makeFolder(path, 0o700)));
    assert.ok(statSync(path).isDirectory());
    assert.equal(statSync(join(folder.path, 'a')).mode & 0o777, 0o700);
  });

  it('may be there already, also as a link to one', async () => {
    await using folder = await temporaryFolder();
    await symlink(folder.path, join(folder.path, 'link'));
    await makeFolder(folder.path);
    await makeFolder(join(folder.path, 'link'));
    await makeFolder('/');
  });

  it('is none where a file stands, and the file stays', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'file');
    await writeFile(file, '');
    await assert.rejects(makeFolder(file), { code: 'EEXIST' });
    await assert.rejects(makeFolder(join(file, 'in', 'it')), { code: 'ENOTDIR' });
    assert.ok(statSync(file).isFile());
  });

  const skip = !existsSync('/proc/self') && 'the system has no /proc';
  it('is refused where nobody can make one, as in /proc', { skip }, async () => {
    await assert.rejects(makeFolder('/proc/no/such/place'), { code: 'ENOENT' });
  });
});
