import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { writeWholeFile } from '../../extension/write-file.ts';

async function folderWith(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'simple-ci-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

async function* pieces(...texts: readonly string[]) {
  for (const text of texts) yield Buffer.from(text);
}

async function filesOf(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort();
  const texts = await Promise.all(names.map(name => readFile(join(folder, name), 'utf8')));
  return Object.fromEntries(names.map((name, at) => [name, texts[at]!]));
}

const signal = AbortSignal.timeout(60_000);

test('a file that is saved takes the place of the one of its name, and of no other', async t => {
  const others = { 'x.part': 'of the user', 'x.1.part': 'of the user too' };
  const folder = await folderWith(t, { x: 'before', ...others });
  await writeWholeFile(join(folder, 'x'), pieces('all of ', 'it'), signal);
  assert.deepEqual(await filesOf(folder), { x: 'all of it', ...others });
});

test('what breaks off leaves what was there before, and nothing beside it', async t => {
  const before = { x: 'before', 'x.part': 'of the user' };
  const folder = await folderWith(t, before);
  async function* broken() {
    yield Buffer.from('half');
    throw new Error('It broke off');
  }
  await assert.rejects(writeWholeFile(join(folder, 'x'), broken(), signal), { message: 'It broke off' });
  const ended = AbortSignal.abort(new Error('The user has cancelled'));
  await assert.rejects(writeWholeFile(join(folder, 'x'), pieces('new'), ended));
  assert.deepEqual(await filesOf(folder), before);
});

test('two that save the same at once do not write into one file', async t => {
  const folder = await folderWith(t, {});
  const texts = ['one'.repeat(100_000), 'two'.repeat(100_000)];
  await Promise.all(texts.map(text => writeWholeFile(join(folder, 'x'), pieces(text, text), signal)));
  const { x, ...rest } = await filesOf(folder);
  assert.ok(texts.some(text => x === text + text));
  assert.deepEqual(rest, {});
});
