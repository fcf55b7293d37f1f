import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DirectoryObjectStore } from '../../node-runtime/objects/directory-object-store.ts';
import { serveSignedObject } from '../../node-runtime/objects/serve-signed-object.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { isCiError } from '../../shared/errors.ts';

const call = { signal: neverAborted };

test('a signed address answers ranges as HTTP says', async t => {
  const { objects, get } = await served(t);
  await objects.put('ten', Buffer.from('0123456789'), call);
  assert.deepEqual(await get('ten'), [200, undefined, '0123456789']);
  assert.deepEqual(await get('ten', 'bytes=0-0'), [206, 'bytes 0-0/10', '0']);
  assert.deepEqual(await get('ten', 'bytes=8-'), [206, 'bytes 8-9/10', '89']);
  assert.deepEqual(await get('ten', 'bytes=-3'), [206, 'bytes 7-9/10', '789']);
  assert.deepEqual(await get('ten', 'bytes=-30'), [206, 'bytes 0-9/10', '0123456789']);
  assert.deepEqual(await get('ten', 'bytes=5-500'), [206, 'bytes 5-9/10', '56789']);
  assert.deepEqual(await get('ten', 'bytes=10-'), [416, 'bytes */10', '']);
  assert.deepEqual(await get('ten', 'bytes=-0'), [416, 'bytes */10', '']);
  for (const unheeded of ['bytes=-', 'bytes=5-2', 'bytes=1-2,4-5', 'lines=1-2', 'nonsense'])
    assert.deepEqual(await get('ten', unheeded), [200, undefined, '0123456789'], unheeded);
});

test('a signed address of an object that does not exist says so', async t => {
  const { get } = await served(t);
  await assert.rejects(get('nothing'), error => isCiError(error, 'not-found'));
});

test('what a signed address serves is never shown as a page', async t => {
  const { objects, answer } = await served(t);
  await objects.put('page', Buffer.from('<script>'), call);
  const { headers } = await answer('page');
  assert.equal(headers['content-disposition'], 'attachment');
  assert.equal(headers['content-type'], 'application/octet-stream');
  assert.equal(headers['x-content-type-options'], 'nosniff');
});

async function served(t: { after(done: () => Promise<void>): void }) {
  const root = await mkdtemp(join(tmpdir(), 'simple-ci-signed-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const signer = { secret: randomBytes(32), baseUrl: () => 'http://127.0.0.1' };
  const clock = systemClock;
  const objects = new DirectoryObjectStore({ root, clock, chance: systemChance, signer });
  const answer = async (key: string, range?: string) => {
    const url = await objects.presign('GET', key, { ...call, expiresSeconds: 60 });
    return serveSignedObject({ objects, signer, clock }, { method: 'GET', url, range, body: nothing() }, neverAborted);
  };
  const get = async (key: string, range?: string) => {
    const { status, headers, body } = await answer(key, range);
    const bytes = Buffer.concat(await Array.fromAsync(body ?? []));
    return [status, headers['content-range'], String(bytes)];
  };
  return { objects, answer, get };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
