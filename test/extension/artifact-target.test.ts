import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { artifactTarget, existingFiles } from '../../extension/artifact-target.ts';

for (const [path, target] of [
  ['a.txt', '/chosen/a.txt'],
  ['dist/./a.js', '/chosen/dist/a.js'],
  ['dist/../a.js', '/chosen/a.js'],
  ['/etc/passwd', '/chosen/etc/passwd'],
  ['..hidden/a', '/chosen/..hidden/a'],
] as const)
  test(`artifact ${path} is saved inside the folder that was chosen`, () =>
    assert.equal(artifactTarget('/chosen', path), target));

for (const path of ['../a', '..', 'dist/../../a', '../chosen2/a', 'a/../../../../etc/passwd', '', '.', 'a/..'])
  test(`artifact "${path}" is saved nowhere, as its path leads out of the folder that was chosen`, () =>
    assert.throws(() => artifactTarget('/chosen', path), /outside the folder that was chosen: "/));

test('what saving would take the place of is found', async () => {
  const own = fileURLToPath(import.meta.url);
  assert.deepEqual(await existingFiles([`${own}.none`, own, `${own}/below`]), [own]);
});
