import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { findProgram, type ProgramPlaces } from '../../extension/program.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

async function places(
  t: TestContext,
  changes: Partial<ProgramPlaces> = {},
): Promise<ProgramPlaces & { folder: string }> {
  const folder = await temporaryFolder();
  t.after(() => folder[Symbol.asyncDispose]());
  const bin = join(folder.path, 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'simple-ci'), '#!/bin/sh\n', { mode: 0o755 });
  await writeFile(join(folder.path, 'bundle.cjs'), '');
  return {
    folder: folder.path,
    setting: '',
    bundle: join(folder.path, 'bundle.cjs'),
    env: { PATH: `relative:${bin}` },
    execPath: '/usr/lib/code',
    nodeVersion: '24.1.0',
    platform: 'linux',
    ...changes,
  };
}

test('the program that came with the extension runs on the Node of VS Code', async t => {
  const given = await places(t);
  const { command, args, env } = await findProgram(given);
  assert.deepEqual([command, args, env.ELECTRON_RUN_AS_NODE], ['/usr/lib/code', [given.bundle], '1']);
});

test('where that Node is too old, the program on the PATH is taken', async t => {
  const given = await places(t, { nodeVersion: '22.21.0' });
  assert.equal((await findProgram(given)).command, join(given.folder, 'bin/simple-ci'));
});

test('on Windows a program has an ending', async t => {
  const given = await places(t, { nodeVersion: '22.21.0', platform: 'win32' });
  const program = join(given.folder, 'bin/simple-ci.exe');
  await writeFile(program, '', { mode: 0o755 });
  assert.equal((await findProgram(given)).command, program);
});

test('a folder of that name is no program', async t => {
  const given = await places(t, { nodeVersion: '22.21.0' });
  const home = join(given.folder, 'home');
  await mkdir(join(home, 'simple-ci'), { recursive: true });
  const env = { PATH: `${home}:${given.env.PATH}` };
  assert.equal((await findProgram({ ...given, env })).command, join(given.folder, 'bin/simple-ci'));
  await assert.rejects(findProgram({ ...given, setting: join(home, 'simple-ci') }), /is not the absolute path/);
});

test('the setting goes before both', async t => {
  const given = await places(t);
  const setting = join(given.folder, 'bin/simple-ci');
  assert.deepEqual((await findProgram({ ...given, setting })).args, []);
});

test('a setting that names no program is told, not passed over', async t => {
  const given = await places(t);
  for (const setting of ['simple-ci', '/no/such/program'])
    await assert.rejects(findProgram({ ...given, setting }), /simple-ci\.programPath as it is not the absolute path/);
});

test('where there is none, the message says what was looked for', async t => {
  const given = await places(t, { nodeVersion: '22.0.0', env: { PATH: '' } });
  await assert.rejects(findProgram(given), /needs Node\.js 24 and VS Code has 22\.0\.0, and there is none on the PATH/);
});
