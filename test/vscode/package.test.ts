import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { listFiles } from '@vscode/vsce';
import { sizesFile } from '../../scripts/package.mjs';
import { packagedExtension } from '../support/packaged-extension.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const execute = promisify(execFile);
/** No package manager: nothing of node_modules is looked at. */
const NONE = 2;

describe('the package of the extension', () => {
  before(async () => void (await packagedExtension()));

  test('holds what is meant to be shipped, and nothing else', async () => {
    const files = await listFiles({ cwd: root, packageManager: NONE });
    const names = files.map(name => name.replace(/part-\w+\.js$/, 'part-*.js'));
    const golden = await readFile(new URL('vsix.golden', import.meta.url), 'utf8');
    assert.deepEqual([...new Set(names)].sort(), golden.trim().split('\n').sort());
  });

  test('is small: what is loaded at once below 150 KB, a page below 100 KB, all of it below 2 MB', async () => {
    const sizes = JSON.parse(await readFile(sizesFile, 'utf8')) as Record<string, number>;
    assert.ok(sizes.extension! < 150_000, JSON.stringify(sizes));
    for (const page of ['logPage', 'taskPage']) assert.ok(sizes[page]! < 100_000, JSON.stringify(sizes));
    assert.ok(sizes.package! < 2_000_000, JSON.stringify(sizes));
  });

  test('has parts that load in a module, where there is no require', async () => {
    const parts = `${root}dist/extension`;
    const names = (await readdir(parts)).filter(name => name.startsWith('part-'));
    assert.ok(names.length >= 2);
    const script = names.map(name => `await import(${JSON.stringify(`${parts}/${name}`)});`).join('\n');
    await execute(process.execPath, ['--input-type=module', '-e', script]);
  });
});
