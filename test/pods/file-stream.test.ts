import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { receiveFiles, sendFiles } from '../../node-runtime/pods/file-stream.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const MOST = 1_000_000;

/** What a pod sends, made by hand. */
function stream(...files: { readonly header: object; readonly bytes?: string }[]): PassThrough {
  const through = new PassThrough();
  for (const { header, bytes = '' } of files) {
    const body = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    through.write(Buffer.concat([length, body, Buffer.from(bytes)]));
  }
  through.end();
  return through;
}

test('files arrive as they are, and no links, whatever lies beside them', async () => {
  await using from = await temporaryFolder();
  await using to = await temporaryFolder();
  await mkdir(join(from.path, 'out/deep'), { recursive: true });
  await writeFile(join(from.path, 'out/deep/large'), Buffer.alloc(300_000, 1));
  await writeFile(join(from.path, 'out/empty'), '');
  await writeFile(join(from.path, 'out/run'), '#!/bin/sh\n');
  await chmod(join(from.path, 'out/run'), 0o755);
  await symlink('/etc/passwd', join(from.path, 'out/link'));
  const through = new PassThrough();
  await Promise.all([sendFiles(from.path, ['out'], through, neverAborted), receiveFiles(through, to.path, MOST)]);
  assert.deepEqual((await readdir(to.path, { recursive: true })).sort(), [
    'out',
    'out/deep',
    'out/deep/large',
    'out/empty',
    'out/run',
  ]);
  assert.ok((await readFile(join(to.path, 'out/deep/large'))).equals(Buffer.alloc(300_000, 1)));
  assert.ok((await stat(join(to.path, 'out/run'))).mode & 0o100);
});

test('who sends into a stream that has been closed meanwhile is told so, and does not wait', async () => {
  await using from = await temporaryFolder();
  await writeFile(join(from.path, 'out'), Buffer.alloc(300_000, 1));
  const through = new PassThrough();
  const closed = once(through, 'close');
  through.destroy();
  await closed;
  await assert.rejects(
    sendFiles(from.path, ['out'], through, neverAborted),
    /^CiError: Cannot read the files that the pod/,
  );
});

test('what would lie outside of the folder is refused, and nothing is written there', async () => {
  await using root = await temporaryFolder();
  const folder = join(root.path, 'inside');
  await mkdir(folder);
  for (const path of ['../out', '/out', 'a/../../out', 'a//b', './a', 'a/', '..', '', 'a\0b'])
    await assert.rejects(receiveFiles(stream({ header: { path, size: 1 }, bytes: 'x' }, { header: {} }), folder, MOST));
  assert.deepEqual(await readdir(root.path), ['inside']);
});

test('more bytes than allowed are the task’s own fault, before they are taken', async () => {
  await using folder = await temporaryFolder();
  const header = { path: 'a', size: MOST + 1 };
  await assert.rejects(receiveFiles(stream({ header }), folder.path, MOST), {
    code: 'invalid',
    message: /take more than 1000000 bytes/,
  });
});

test('small files and folders count as what they take of the disk', async () => {
  await using to = await temporaryFolder();
  const files = Array.from({ length: 50 }, (_, at) => ({ header: { path: `${at}/file`, size: 1 }, bytes: 'x' }));
  const grown: number[] = [];
  const grow = async (bytes: number) => void grown.push(bytes);
  await receiveFiles(stream(...files, { header: {} }), to.path, MOST, { grow });
  assert.deepEqual(grown.slice(0, 2), [4096, 12_288]);
  const taken = (await readdir(to.path, { recursive: true })).length * 4096;
  assert.ok(grown.at(-1)! >= taken - 4096, `${grown.at(-1)} of ${taken} bytes`);
  await using other = await temporaryFolder();
  await assert.rejects(receiveFiles(stream(...files), other.path, 400_000), /take more than 400000 bytes together/);
});

test('a stream that makes no sense is not taken for whole, and no fault of the node', async () => {
  const one = { header: { path: 'a', size: 3 }, bytes: 'abc' };
  const end = { header: {} };
  const streams = {
    'breaks off': [one],
    'names a file twice': [one, one, end],
    'has a file in the place of a folder': [one, { header: { path: 'a/b', size: 0 } }, end],
    'has a header of another kind': [{ header: { path: 3 } }, end],
  };
  for (const [what, files] of Object.entries(streams)) {
    await using folder = await temporaryFolder();
    const expected = {
      name: 'CiError',
      end: 'place',
      message: /^Cannot read the files that the pod of the task sends$/,
    };
    await assert.rejects(receiveFiles(stream(...files), folder.path, MOST), expected, what);
  }
});

test('a pod cannot have its node make folders without end', async () => {
  await using to = await temporaryFolder();
  const deep = 'a/'.repeat(9);
  const files = Array.from({ length: 100 }, (_, at) => ({ header: { path: `${at}/${deep}file`, size: 0 } }));
  await assert.rejects(
    receiveFiles(stream(...files), to.path, 5 * MOST, { mostFolders: 990 }),
    /in more than 990 folders/,
  );
  const fewer = files.slice(0, 99);
  await using other = await temporaryFolder();
  await receiveFiles(stream(...fewer, { header: {} }), other.path, 5 * MOST, { mostFolders: 990 });
});
