import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { getBytes } from '../../node-runtime/objects/collect.ts';
import type { ObjectStore } from '../../node-runtime/objects/object-store.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { isCiError } from '../../shared/errors.ts';

export interface ObjectStoreFixture extends AsyncDisposable {
  readonly objects: ObjectStore;
}

const call = { signal: neverAborted };
const MIB = 1024 * 1024;

/** What every object store promises. `skip` says why it cannot be tried here. */
export function objectStoreContract(
  name: string,
  open: () => Promise<ObjectStoreFixture>,
  { skip = false }: { readonly skip?: string | false } = {},
): void {
  describe(`${name} keeps the contract of object stores`, { skip, timeout: 600_000 }, () => {
    let fixture: ObjectStoreFixture;
    let objects: ObjectStore;
    before(async () => {
      fixture = await open();
      objects = fixture.objects;
    });
    after(async () => {
      await objects?.[Symbol.asyncDispose]();
      await fixture?.[Symbol.asyncDispose]();
    });

    const keys = async (prefix: string, from?: string) => {
      const infos = objects.list(prefix, { ...call, ...(from !== undefined && { after: from }) });
      return Array.fromAsync(infos, info => info.key);
    };
    const putAll = (all: readonly string[]) => forEachOf(all, 16, key => objects.put(key, Buffer.from(key), call));

    test('put() of bytes gives the same bytes back, and their number', async () => {
      const bytes = randomBytes(100_000);
      await objects.put('bytes/a', bytes, { ...call, contentType: 'text/plain' });
      assert.deepEqual(await getBytes(objects, 'bytes/a', call), bytes);
      assert.equal((await objects.head('bytes/a', call))?.size, 100_000);
    });

    test('put() takes a view into a larger array as just the bytes it shows', async () => {
      const view = new Uint8Array(randomBytes(1000).buffer, 0, 1000).subarray(10, 20);
      await objects.put('bytes/view', view, call);
      assert.deepEqual(await getBytes(objects, 'bytes/view', call), Buffer.from(view));
    });

    for (const size of [0, 1, 8 * MIB, 16 * MIB, 16 * MIB + 1, 64 * MIB]) {
      test(`put() of a stream of ${size} bytes stores them exactly`, async () => {
        const bytes = randomBytes(size);
        await objects.put(`stream/${size}`, chunksOf(bytes, 1_000_003), call);
        await assertStored(objects, `stream/${size}`, bytes);
      });
    }

    for (const size of [0, 16 * MIB + 1, 64 * MIB]) {
      test(`put() of ${size} bytes from memory stores them exactly`, async () => {
        const bytes = randomBytes(size);
        await objects.put(`memory/${size}`, bytes, call);
        await assertStored(objects, `memory/${size}`, bytes);
      });
    }

    test('put() of the same bytes again is safe', async () => {
      for (let i = 0; i < 3; i++) await objects.put('again', Buffer.from('same'), call);
      assert.equal(String(await getBytes(objects, 'again', call)), 'same');
    });

    test('put() of one key by many at once leaves one whole object', async () => {
      const bytes = randomBytes(300_000);
      await Promise.all(Array.from({ length: 12 }, () => objects.put('together', bytes, call)));
      await assertStored(objects, 'together', bytes);
    });

    test('get() with a range gives just those bytes and the size of the whole', async () => {
      await objects.put('range/ten', Buffer.from('0123456789'), call);
      const read = async (start: number, end?: number) => {
        const range = end === undefined ? { start } : { start, end };
        const body = await objects.get('range/ten', { ...call, range });
        return [String(Buffer.concat(await Array.fromAsync(body!.bytes))), body!.size];
      };
      assert.deepEqual(await read(0, 1), ['0', 10]);
      assert.deepEqual(await read(3, 7), ['3456', 10]);
      assert.deepEqual(await read(9, 10), ['9', 10]);
      assert.deepEqual(await read(7), ['789', 10]);
      assert.deepEqual(await read(8, 1000), ['89', 10]);
      assert.deepEqual(await read(10), ['', 10]);
      assert.deepEqual(await read(50, 60), ['', 10]);
      assert.deepEqual(await read(4, 4), ['', 10]);
    });

    test('get() with a range of an empty object gives no bytes', async () => {
      await objects.put('range/empty', Buffer.alloc(0), call);
      for (const range of [{ start: 0 }, { start: 0, end: 5 }, { start: 3 }]) {
        const body = await objects.get('range/empty', { ...call, range });
        assert.deepEqual([body?.size, (await Array.fromAsync(body!.bytes)).length], [0, 0]);
      }
    });

    test('get() and head() of an object that does not exist give nothing', async () => {
      assert.equal(await objects.get('no/such', call), undefined);
      assert.equal(await objects.get('no/such', { ...call, range: { start: 5, end: 9 } }), undefined);
      assert.equal(await objects.head('no/such', call), undefined);
    });

    test('keys may be prefixes of others, long, and of any characters that can be seen', async () => {
      const long = 'x'.repeat(400);
      const all = [
        'a',
        'a/b',
        'a/b/c',
        'a b+c%20&=?#',
        '"quoted" <é>/ü/漢字/🙂',
        `${long}/y`,
        long,
        `${long}y`,
        '..a/b..',
      ];
      await putAll(all.map(key => `odd/${key}`));
      for (const key of all) assert.equal(String(await getBytes(objects, `odd/${key}`, call)), `odd/${key}`);
      assert.deepEqual((await keys('odd/')).sort(), all.map(key => `odd/${key}`).sort());
    });

    for (const key of ['', '/a', 'a/', 'a//b', '.', 'a/../b', '../a', 'a\0b', 'a\nb', '\ud800', 'k'.repeat(1025)]) {
      test(`a key is refused that not every store can keep: ${JSON.stringify(key).slice(0, 20)}`, async () => {
        await assert.rejects(objects.put(key, Buffer.from('x'), call), error => isCiError(error, 'invalid'));
        await assert.rejects(objects.get(key, call), error => isCiError(error, 'invalid'));
      });
    }

    test('list() gives keys in the order of their bytes', async () => {
      const ordered = ['A', 'a', 'a-b', 'a/', 'a0', 'aa', 'b', 'é', '\uffee', '🙂'];
      const all = ordered.map(key => `order/${key.replace(/\/$/, '/x')}`);
      await putAll(all.toReversed());
      assert.deepEqual(await keys('order/'), all);
    });

    test('list() takes the prefix by letters, not by folders', async () => {
      await putAll(['edge/log', 'edge/log/1', 'edge/log.json', 'edge/logs/1', 'edge/lo']);
      assert.deepEqual(await keys('edge/log'), ['edge/log', 'edge/log.json', 'edge/log/1', 'edge/logs/1']);
      assert.deepEqual(await keys('edge/log/'), ['edge/log/1']);
      assert.deepEqual(await keys('edge/nothing'), []);
    });

    test('list() gives sizes and times', async () => {
      await objects.put('sized/a', Buffer.alloc(123), call);
      const [info] = await Array.fromAsync(objects.list('sized/', call));
      assert.equal(info?.size, 123);
      assert.ok(Math.abs(info.modified - Date.now()) < 3_600_000, `modified ${info.modified}`);
    });

    test('list() gives all of 2,500 keys, and those after one', async () => {
      const all = Array.from({ length: 2500 }, (_, i) => `many/${String(i).padStart(5, '0')}`);
      await putAll(all);
      assert.deepEqual(await keys('many/'), all);
      assert.deepEqual(await keys('many/', 'many/01234'), all.slice(1235));
      assert.deepEqual(await keys('many/', 'many/01234+'), all.slice(1235));
      assert.deepEqual(await keys('many/0249', 'many/01234'), all.slice(2490));
      assert.deepEqual(await keys('many/', 'many/9'), []);
    });

    test('deleteMany() deletes 1,500 keys, and those that do not exist are no error', async () => {
      const all = Array.from({ length: 1500 }, (_, i) => `doomed/${i}/x`);
      await putAll([...all, 'doomed/0/y']);
      await objects.deleteMany([...all, 'doomed/no/such', 'doomed/no'], call);
      assert.deepEqual(await keys('doomed/'), ['doomed/0/y']);
      await objects.deleteMany([], call);
    });

    test('presign() makes an address from which anyone can get the object, or a range of it', async () => {
      await objects.put('signed/get me', Buffer.from('0123456789'), call);
      const named = { downloadName: 'résumé "1".txt', contentType: 'text/x-log' };
      const url = await objects.presign('GET', 'signed/get me', { ...call, expiresSeconds: 60, ...named });
      const whole = await fetch(url);
      assert.deepEqual([whole.status, await whole.text()], [200, '0123456789']);
      assert.equal(whole.headers.get('content-type'), 'text/x-log');
      assert.match(whole.headers.get('content-disposition') ?? '', /^attachment;.*r%C3%A9sum%C3%A9%20%221%22\.txt$/);
      const range = await fetch(url, { headers: { range: 'bytes=3-5' } });
      assert.deepEqual([range.status, await range.text()], [206, '345']);
      assert.equal(range.headers.get('content-range'), 'bytes 3-5/10');
      const past = await fetch(url, { headers: { range: 'bytes=10-' } });
      assert.equal(past.status, 416);
    });

    test('presign() makes an address to which anyone can put the object', async () => {
      const url = await objects.presign('PUT', 'signed/put/1', { ...call, expiresSeconds: 60 });
      const body = randomBytes(200_000);
      assert.equal((await fetch(url, { method: 'PUT', body })).status, 200);
      await assertStored(objects, 'signed/put/1', body);
    });

    test('a signed address serves nothing but its own method and object', async () => {
      await putAll(['signed/mine', 'signed/other']);
      const url = await objects.presign('GET', 'signed/mine', { ...call, expiresSeconds: 60 });
      const put = await fetch(url, { method: 'PUT', body: 'changed' });
      const other = await fetch(url.replace('signed/mine', 'signed/other'));
      const longer = await fetch(url.replace(/([Ee]xpires=)(\d+)/, '$19$2'));
      const unsigned = await fetch(url.split('?')[0]!);
      const statuses = [put, other, longer, unsigned].map(answer => answer.status);
      assert.deepEqual(statuses, [403, 403, 403, 403]);
      assert.equal(String(await getBytes(objects, 'signed/mine', call)), 'signed/mine');
    });

    test('a signed address ends when it expires', async () => {
      await putAll(['signed/short']);
      const url = await objects.presign('GET', 'signed/short', { ...call, expiresSeconds: 2 });
      const status = async () => (await fetch(url)).status;
      for (let tries = 0; (await status()) !== 403; tries++) {
        assert.ok(tries < 300, 'it still works after 30 s');
        await sleep(100);
      }
    });

    test('put() that is aborted in the middle of a stream leaves nothing to be seen', async () => {
      const controller = new AbortController();
      const reason = new Error('enough');
      const source = (async function* () {
        for (let i = 0; i < 30; i++) yield Buffer.alloc(MIB, i);
        controller.abort(reason);
        // A source that never gives another byte: only the signal can end the wait for it.
        await new Promise(() => undefined);
      })();
      await assert.rejects(objects.put('aborted/a', source, { signal: controller.signal }), reason);
      assert.deepEqual(await keys('aborted/'), []);
    });

    test('put() of a large object from memory that is aborted leaves nothing to be seen', async () => {
      const controller = new AbortController();
      const reason = new Error('enough');
      const put = objects.put('aborted-memory/a', chunksOf(randomBytes(64 * MIB), 64 * MIB), {
        signal: controller.signal,
      });
      setImmediate(() => controller.abort(reason));
      await assert.rejects(put, reason);
      assert.deepEqual(await keys('aborted-memory/'), []);
    });

    for (const size of [1, 30 * MIB]) {
      test(`put() fails as its source fails after ${size} bytes, and leaves nothing to be seen`, async () => {
        const source = (async function* () {
          yield* chunksOf(Buffer.alloc(size), MIB);
          throw new RangeError('the source broke');
        })();
        await assert.rejects(objects.put('broken/a', source, call), new RangeError('the source broke'));
        assert.deepEqual(await keys('broken/'), []);
      });
    }

    test('get() that is aborted in the middle stops with the reason', async () => {
      await objects.put('large', randomBytes(24 * MIB), call);
      const controller = new AbortController();
      const reason = new Error('enough');
      const body = await objects.get('large', { signal: controller.signal });
      const read = async () => {
        for await (const chunk of body!.bytes) if (chunk.length > 0) controller.abort(reason);
      };
      await assert.rejects(read(), reason);
    });

    test('get() whose reader leaves early, or never begins, hurts nobody', async () => {
      await objects.put('large-too', randomBytes(24 * MIB), call);
      for await (const chunk of (await objects.get('large-too', call))!.bytes) if (chunk.length > 0) break;
      const controller = new AbortController();
      await objects.get('large-too', { signal: controller.signal });
      controller.abort(new Error('not wanted any more'));
      assert.equal((await objects.head('large-too', call))?.size, 24 * MIB);
    });

    test('a call whose signal has fired already does nothing', async () => {
      const signal = AbortSignal.abort(new Error('too late'));
      await assert.rejects(objects.put('late/a', Buffer.from('x'), { signal }), /too late/);
      await assert.rejects(objects.get('late/a', { signal }), /too late/);
      await assert.rejects(objects.head('late/a', { signal }), /too late/);
      await assert.rejects(objects.deleteMany(['late/a'], { signal }), /too late/);
      assert.deepEqual(await keys('late/'), []);
    });
  });
}

async function assertStored(objects: ObjectStore, key: string, expected: Uint8Array): Promise<void> {
  const body = await objects.get(key, call);
  const hash = createHash('sha256');
  for await (const chunk of body?.bytes ?? []) hash.update(chunk);
  assert.equal(hash.digest('hex'), createHash('sha256').update(expected).digest('hex'), `bytes of ${key}`);
  assert.equal(body?.size, expected.length);
}

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function forEachOf<T>(all: readonly T[], together: number, work: (one: T) => Promise<void>): Promise<void> {
  const rest = all.values();
  await Promise.all(
    Array.from({ length: together }, async () => {
      for (const one of rest) await work(one);
    }),
  );
}
