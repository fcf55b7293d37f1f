import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ListMultipartUploadsCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getBytes } from '../../node-runtime/objects/collect.ts';
import { parseS3Address } from '../../node-runtime/objects/s3-address.ts';
import { codeOf, isTransientFailure, statusOf } from '../../node-runtime/objects/s3-error.ts';
import { S3ObjectStore } from '../../node-runtime/objects/s3-object-store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { type Clock, neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { CiError, type ErrorCode } from '../../shared/errors.ts';
import { type CephS3, startCeph, startOwnCeph, whyNoCeph } from '../support/ceph-server.ts';
import { type S3Fault, type S3FaultServer, type SeenRequest, startS3FaultServer } from '../support/s3-fault-server.ts';
import { ERROR_IN_GOOD_ANSWER, errorOfRefusal, INTERNAL_ERROR, S3_REFUSALS } from '../support/s3-refusals.ts';

const MIB = 1024 * 1024;
const call = { signal: neverAborted };
/** For failures that go on for ever. */
const short = { signal: neverAborted, timeoutMs: 1000 };

describe('S3ObjectStore on a bad day', { skip: whyNoCeph(), timeout: 600_000 }, () => {
  let ceph: CephS3;
  let s3: S3FaultServer;
  let objects: S3ObjectStore;
  before(async () => {
    ceph = await startCeph();
    s3 = await startS3FaultServer(ceph.endpoint);
  });
  after(async () => {
    await s3?.[Symbol.asyncDispose]();
    await ceph?.[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    s3.fault = () => undefined;
    objects = openAt(s3.endpoint);
    s3.seen.length = 0;
  });

  const openAt = (
    endpoint: string,
    { bucket = ceph.bucket, clock = systemClock, credentials = ceph.credentials } = {},
  ) =>
    new S3ObjectStore({
      address: parseS3Address(`s3://${bucket}?endpoint=${endpoint}`),
      credentials,
      clock,
      chance: systemChance,
    });
  /** What a client without any rules of its own is told that puts an object. */
  const refusedBy = async (endpoint: string, systemClockOffset = 0): Promise<unknown> => {
    const { credentials, bucket: Bucket } = ceph;
    const signing = { credentials, systemClockOffset, requestChecksumCalculation: 'WHEN_REQUIRED' } as const;
    const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, maxAttempts: 1, ...signing });
    try {
      await client.send(new PutObjectCommand({ Bucket, Key: 'refused', Body: Buffer.from('bytes') }));
    } catch (error) {
      return error;
    } finally {
      client.destroy();
    }
    return assert.fail('it was not refused');
  };
  const seen = (method: string) => s3.seen.filter(request => request.method === method);

  // An answer to GET that begins as a good one is the object.
  for (const refusal of S3_REFUSALS.filter(({ status }) => status !== 200)) {
    test(`every operation is tried again after ${refusal.name}`, async () => {
      const refused = () => {
        s3.fault = twice({ kind: 'answer', ...refusal });
      };
      refused();
      await objects.put('again', Buffer.from('bytes'), call);
      refused();
      assert.equal(String(await getBytes(objects, 'again', call)), 'bytes');
      refused();
      assert.equal((await objects.head('again', call))?.size, 5);
      refused();
      assert.equal((await Array.fromAsync(objects.list('again', call))).length, 1);
      refused();
      await objects.deleteMany(['again'], call);
      assert.equal(s3.seen.length, 15);
    });
  }

  for (const refusal of S3_REFUSALS) {
    test(`the model refuses as a store does with ${refusal.name}`, async () => {
      s3.fault = () => ({ kind: 'answer', ...refusal });
      const said = await refusedBy(s3.endpoint);
      const modelled = errorOfRefusal(refusal);
      assert.deepEqual([statusOf(modelled), codeOf(modelled)], [statusOf(said), codeOf(said)]);
      assert.deepEqual([isTransientFailure(modelled), isTransientFailure(said)], [true, true]);
    });
  }

  test('Ceph itself refuses a clock that is off, and bytes that were changed on their way, in these words', async () => {
    const skewed = await refusedBy(ceph.endpoint, 3_600_000);
    assert.deepEqual([statusOf(skewed), codeOf(skewed)], [403, 'RequestTimeTooSkewed']);
    s3.fault = () => ({ kind: 'change request' });
    const changed = await refusedBy(s3.endpoint);
    assert.deepEqual([statusOf(changed), codeOf(changed)], [400, 'XAmzContentSHA256Mismatch']);
  });

  test('bytes that were changed on their way to the store are sent again', async () => {
    const bytes = randomBytes(MIB);
    s3.fault = twice({ kind: 'change request' });
    await objects.put('changed on its way', bytes, call);
    assert.equal(s3.seen.length, 3);
    assert.deepEqual(await getBytes(objects, 'changed on its way', call), bytes);
  });

  test('an error in the body of an answer that began as a good one is an error', async () => {
    const again = () => {
      s3.fault = twice({ kind: 'answer', ...ERROR_IN_GOOD_ANSWER });
    };
    again();
    await objects.put('good', Buffer.from('bytes'), call);
    again();
    assert.equal((await Array.fromAsync(objects.list('good', call))).length, 1);
    again();
    await objects.deleteMany(['good'], call);
    assert.equal(s3.seen.length, 9);
    assert.equal(await objects.head('good', call), undefined);
  });

  test('what was done although the store says that it failed is done again without harm', async () => {
    s3.fault = twice({ kind: 'deny answer', status: 500, code: 'InternalError' });
    await objects.put('denied', Buffer.from('bytes'), call);
    assert.equal(String(await getBytes(objects, 'denied', call)), 'bytes');
    s3.fault = twice({ kind: 'deny answer', status: 500, code: 'InternalError' });
    await objects.deleteMany(['denied'], call);
    assert.equal(await objects.head('denied', call), undefined);
  });

  test('nothing is taken for stored that somebody else than the store has answered, such as a proxy', async () => {
    s3.fault = twice({ kind: 'answer', status: 200, body: '<html>Welcome</html>' });
    await objects.put('welcome', Buffer.from('bytes'), call);
    assert.equal(String(await getBytes(objects, 'welcome', call)), 'bytes');
    s3.fault = () => ({ kind: 'answer', status: 200, body: '' });
    const error = await failure(objects.put('welcome', Buffer.from('bytes'), short), 'unavailable');
    assert.match(error.message, /as what answers is not the object store, as it does not say what was stored: bucket/);
  });

  test('get() takes nothing of which nobody can tell whether it is whole', async () => {
    await objects.put('whole', Buffer.from('bytes'), call);
    // It has no length: its end could be that of a connection between here and the store.
    s3.fault = twice({ kind: 'answer', status: 200, body: 'byt' });
    assert.equal(String(await getBytes(objects, 'whole', call)), 'bytes');
    assert.equal(seen('GET').length, 3);
  });

  test('the pauses between tries grow, and are not the same for all', async () => {
    const pauses: number[] = [];
    const clock: Clock = {
      ...systemClock,
      sleep: (ms, signal) => {
        if (ms < 10_000) pauses.push(ms);
        return systemClock.sleep(ms < 10_000 ? 1 : ms, signal);
      },
    };
    s3.fault = ({ index }) => (index < 6 ? { kind: 'answer', status: 503, code: 'SlowDown' } : undefined);
    await openAt(s3.endpoint, { clock }).put('pauses', Buffer.from('x'), call);
    assert.equal(pauses.length, 6);
    for (const [i, ms] of pauses.entries()) {
      const middle = Math.min(50 * 2 ** i, 2000);
      assert.ok(ms >= middle * 0.5 && ms <= middle * 1.5, `pause ${i} is ${ms} ms, not about ${middle}`);
    }
    assert.notDeepEqual(
      pauses,
      pauses.map((_, i) => 50 * 2 ** i),
    );
  });

  test('a failure that does not end is reported within the time limit, with key, bucket and endpoint', async () => {
    s3.fault = () => ({ kind: 'answer', status: 503, code: 'SlowDown' });
    const began = systemClock.monotonic();
    const error = await failure(objects.put('logs/1', Buffer.from('x'), short), 'unavailable');
    assert.match(error.message, /^Cannot put object "logs\/1" as the object store failed \(status 503 SlowDown/);
    assert.ok(error.message.endsWith(`: bucket "${ceph.bucket}" at ${s3.endpoint}`), error.message);
    assert.ok(systemClock.monotonic() - began < 20_000);
    assert.ok(s3.seen.length > 2);
  });

  test('a server that takes requests and never answers is given up at the time limit', async () => {
    s3.fault = () => ({ kind: 'stall' });
    for (const operation of [
      objects.put('stalled', Buffer.from('x'), short),
      objects.get('stalled', short),
      objects.head('stalled', short),
      Array.fromAsync(objects.list('stalled', short)),
      objects.deleteMany(['stalled'], short),
    ])
      assert.match((await failure(operation, 'unavailable')).message, /did not answer in time/);
  });

  test('put() whose connection is cut in the middle is sent again as a whole', async () => {
    const bytes = randomBytes(MIB);
    s3.fault = twice({ kind: 'cut request', after: 300_000 });
    await objects.put('cut', bytes, call);
    assert.deepEqual(await getBytes(objects, 'cut', call), bytes);
  });

  test('operations whose answers are lost are repeated without harm', async () => {
    s3.fault = twice({ kind: 'lose answer' });
    await objects.put('lost', Buffer.from('bytes'), call);
    assert.equal(String(await getBytes(objects, 'lost', call)), 'bytes');
    s3.fault = twice({ kind: 'lose answer' });
    await objects.deleteMany(['lost'], call);
    assert.equal(await objects.head('lost', call), undefined);
  });

  test('get() goes on at the byte where the connection was cut', async () => {
    const bytes = randomBytes(5 * MIB);
    await objects.put('resumed', bytes, call);
    s3.seen.length = 0;
    s3.fault = ({ index }) => (index < 4 ? { kind: 'cut answer', after: MIB + index * 1001 } : undefined);
    assert.deepEqual(await getBytes(objects, 'resumed', call), bytes);
    assert.equal(seen('GET').length, 5);
    assert.equal(seen('GET')[0]?.range, undefined);
    assert.match(seen('GET')[4]?.range ?? '', /^bytes=\d+-5242879$/);
  });

  test('get() of a range goes on within the range', async () => {
    const bytes = randomBytes(3 * MIB);
    await objects.put('resumed-range', bytes, call);
    s3.seen.length = 0;
    s3.fault = ({ index }) => (index < 2 ? { kind: 'cut answer', after: 400_000 } : undefined);
    const body = await objects.get('resumed-range', { ...call, range: { start: 1000, end: 2_000_000 } });
    assert.deepEqual(Buffer.concat(await Array.fromAsync(body!.bytes)), bytes.subarray(1000, 2_000_000));
  });

  test('get() does not go on with another object that was put in its place', async () => {
    await objects.put('changed', randomBytes(2 * MIB), call);
    s3.seen.length = 0;
    s3.fault = ({ index }) => (index === 0 ? { kind: 'cut answer', after: 100_000 } : undefined);
    const body = await objects.get('changed', call);
    await openAt(ceph.endpoint).put('changed', randomBytes(2 * MIB), call);
    const error = await failure(Array.fromAsync(body!.bytes), 'unavailable');
    assert.match(error.message, /Cannot read object "changed" as it was changed or deleted meanwhile/);
  });

  test('get() that gets no byte further fails at the time limit', async () => {
    await objects.put('hopeless', randomBytes(MIB), call);
    s3.fault = ({ method }) => (method === 'GET' ? { kind: 'cut answer', after: 0 } : undefined);
    const body = await objects.get('hopeless', short);
    const error = await failure(Array.fromAsync(body!.bytes), 'unavailable');
    // The last try may have had so little time left that it was given up first.
    const why = /^Cannot read object "hopeless" as the object store (could not be reached|did not answer in time)/;
    assert.match(error.message, why);
  });

  test('get() gives its reader all the time it wants', async () => {
    const bytes = randomBytes(8 * MIB);
    await objects.put('slow reader', bytes, call);
    s3.seen.length = 0;
    s3.fault = ({ index }) => (index === 0 ? { kind: 'cut answer', after: 4 * MIB } : undefined);
    let hours = 0;
    const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + hours * 3_600_000 };
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await openAt(s3.endpoint, { clock }).get('slow reader', call))!.bytes) {
      chunks.push(chunk);
      hours++;
    }
    assert.deepEqual(Buffer.concat(chunks), bytes);
    assert.equal(seen('GET').length, 2);
  });

  test('of a large object only the part that failed is sent again', async () => {
    const bytes = randomBytes(40 * MIB);
    let faults = 0;
    s3.fault = ({ url }) =>
      /partNumber=2&/.test(url) && faults++ < 2 ? { kind: 'cut request', after: MIB } : undefined;
    await objects.put('parts', bytes, call);
    assert.equal(seen('PUT').length, 7);
    assert.deepEqual(await getBytes(objects, 'parts', call), bytes);
  });

  test('a large object is stored although the answer to its completion was lost', async () => {
    const bytes = randomBytes(17 * MIB);
    let faults = 0;
    const isCompletion = ({ method, url }: SeenRequest) => method === 'POST' && /\?uploadId=/.test(url);
    s3.fault = request => (isCompletion(request) && faults++ === 0 ? { kind: 'lose answer' } : undefined);
    await objects.put('completed', bytes, call);
    assert.equal(faults, 2);
    assert.deepEqual(await getBytes(objects, 'completed', call), bytes);
  });

  for (const [what, fault] of [
    ['says in its body that it failed', { kind: 'answer', ...ERROR_IN_GOOD_ANSWER }],
    ['says that it failed, though it was done', { kind: 'deny answer', ...INTERNAL_ERROR }],
    ['says so after it had begun as a good one, though it was done', { kind: 'deny answer', ...ERROR_IN_GOOD_ANSWER }],
    ['is cut in its middle', { kind: 'cut answer', after: 60 }],
  ] as const satisfies readonly (readonly [string, S3Fault])[])
    test(`a large object is stored although the answer to its completion ${what}`, async () => {
      const bytes = randomBytes(17 * MIB);
      let completions = 0;
      s3.fault = ({ method, url }) =>
        method === 'POST' && /\?uploadId=/.test(url) && completions++ === 0 ? fault : undefined;
      await objects.put('completed', bytes, call);
      assert.equal(completions, 2);
      assert.deepEqual(await getBytes(objects, 'completed', call), bytes);
    });

  test('a large object that cannot be finished leaves nothing behind, not even its parts', async () => {
    s3.fault = ({ url }) => (/partNumber=3&/.test(url) ? { kind: 'answer', status: 500 } : undefined);
    await failure(objects.put('unfinished', randomBytes(40 * MIB), short), 'unavailable');
    assert.equal(await objects.head('unfinished', call), undefined);
    assert.deepEqual(await unfinishedUploads(ceph, 'unfinished'), []);
  });

  test('keys that were not deleted are tried again, and reported when they stay', async () => {
    const body = (code: string) =>
      `<DeleteResult><Error><Key>stubborn</Key><Code>${code}</Code><Message>no</Message></Error></DeleteResult>`;
    await objects.put('stubborn', Buffer.from('x'), call);
    const answer = (code: string): S3Fault => ({ kind: 'answer', status: 200, body: body(code) });
    s3.fault = twice(answer('InternalError'));
    await objects.deleteMany(['stubborn'], call);
    assert.equal(await objects.head('stubborn', call), undefined);
    s3.fault = () => answer('AccessDenied');
    const error = await failure(objects.deleteMany(['stubborn'], call), 'forbidden');
    assert.match(error.message, /AccessDenied: 1 of 1 objects, such as "stubborn": no/);
  });

  test('a clock that is off is set by the answers; one that cannot be set is reported by how much it is off', async () => {
    const date = new Date(Date.now() - 1_200_000);
    s3.fault = ({ index }) =>
      index === 0 ? { kind: 'answer', status: 403, code: 'RequestTimeTooSkewed', date: new Date() } : undefined;
    await objects.put('clock', Buffer.from('x'), call);
    s3.fault = () => ({ kind: 'answer', status: 403, code: 'RequestTimeTooSkewed', date });
    const error = await failure(objects.put('clock', Buffer.from('x'), short), 'unavailable');
    assert.match(error.message, /clock is 1[12]\d\d s ahead of the object store's \(RequestTimeTooSkewed\)/);
  });

  test('wrong credentials are reported as such by every operation, at once', async () => {
    const { accessKeyId, secretAccessKey } = ceph.credentials;
    const unknown = openAt(s3.endpoint, { credentials: { accessKeyId: 'NOBODY', secretAccessKey } });
    const wrong = openAt(s3.endpoint, { credentials: { accessKeyId, secretAccessKey: 'wrong' } });
    for (const [store, reason] of [
      [unknown, /does not know the access key/],
      [wrong, /secret key is not the one/],
    ] as const)
      for (const operation of everyOperation(store))
        assert.match((await failure(operation(), 'unauthenticated')).message, reason);
    // One each, and one more for each HEAD, whose answer cannot say why.
    assert.equal(s3.seen.length, 14);
  });

  test('a missing bucket is reported as such by every operation', async () => {
    for (const operation of everyOperation(openAt(s3.endpoint, { bucket: 'no-such-bucket' }))) {
      const error = await failure(operation(), 'not-found');
      assert.match(error.message, /as there is no such bucket: bucket "no-such-bucket" at http/);
    }
  });

  test('missing rights are reported as such by every operation', async () => {
    s3.fault = () => ({ kind: 'answer', status: 403, code: 'AccessDenied' });
    for (const operation of everyOperation(objects))
      assert.match((await failure(operation(), 'forbidden')).message, /may not do that \(AccessDenied/);
  });

  test('missing credentials are reported as such', async () => {
    const script = `
      import { S3ObjectStore } from '${new URL('../../node-runtime/objects/s3-object-store.ts', import.meta.url)}';
      import { parseS3Address } from '${new URL('../../node-runtime/objects/s3-address.ts', import.meta.url)}';
      import { systemChance } from '${new URL('../../node-runtime/system/chance.ts', import.meta.url)}';
      import { neverAborted, systemClock } from '${new URL('../../node-runtime/system/clock.ts', import.meta.url)}';
      const address = parseS3Address('s3://bucket?endpoint=${s3.endpoint}');
      const objects = new S3ObjectStore({ address, clock: systemClock, chance: systemChance });
      await objects.head('a', { signal: neverAborted }).catch(error => console.log(error.code, error.message));`;
    const env = { HOME: '/nonexistent', AWS_EC2_METADATA_DISABLED: 'true' };
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env });
    assert.match(stdout, /^unauthenticated Cannot read object "a" as no credentials were found \(AWS_ACCESS_KEY_ID/);
  });

  test('an endpoint that cannot be reached is reported as such, with its address', async () => {
    for (const operation of everyOperation(openAt('http://127.0.0.1:1'), short)) {
      const { message } = await failure(operation(), 'unavailable');
      assert.match(
        message,
        /could not be reached \(connect ECONNREFUSED 127\.0\.0\.1:1\): bucket ".*" at http:\/\/127/,
      );
    }
  });
});

describe('S3ObjectStore whose gateway dies', { skip: whyNoCeph(), timeout: 300_000 }, () => {
  test('puts go on when it comes back, and nothing that was acknowledged is lost', async () => {
    await using ceph = await startOwnCeph();
    await using objects = new S3ObjectStore({
      address: parseS3Address(ceph.address),
      credentials: ceph.credentials,
      clock: systemClock,
      chance: systemChance,
    });
    const stored = new Map<string, Buffer>();
    const until = async (count: number) => {
      while (stored.size < count) await sleep(10);
    };
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let i = 0; stored.size < 300; i++) {
        const key = `${writer}/${i}`;
        const bytes = randomBytes(50_000);
        await objects.put(key, bytes, call);
        stored.set(key, bytes);
      }
    });
    const chaos = (async () => {
      for (const count of [50, 120, 190]) {
        await until(count);
        await ceph.gateway.kill();
        await ceph.gateway.start();
      }
    })();
    await Promise.all([...writers, chaos]);
    for (const [key, bytes] of stored) assert.deepEqual(await getBytes(objects, key, call), bytes);
    const listed = await Array.fromAsync(objects.list('', call), ({ key }) => key);
    assert.deepEqual(listed, [...stored.keys()].sort());
  });

  test('a gateway that hangs for a while only delays', async () => {
    await using ceph = await startOwnCeph();
    await using objects = new S3ObjectStore({
      address: parseS3Address(ceph.address),
      credentials: ceph.credentials,
      clock: systemClock,
      chance: systemChance,
    });
    await objects.put('a', Buffer.from('x'), call);
    ceph.gateway.pause();
    const error = await failure(objects.put('b', Buffer.from('x'), short), 'unavailable');
    assert.match(error.message, /did not answer in time/);
    const put = objects.put('c', Buffer.from('x'), call);
    ceph.gateway.resume();
    await put;
    assert.equal((await objects.head('c', call))?.size, 1);
  });
});

function everyOperation(store: S3ObjectStore, options: { signal: AbortSignal; timeoutMs?: number } = call) {
  return [
    () => store.put('a', Buffer.from('x'), options),
    () => store.put('a', randomBytes(17 * MIB), options),
    () => store.get('a', options),
    () => store.head('a', options),
    () => Array.fromAsync(store.list('', options)),
    () => store.deleteMany(['a'], options),
  ] as readonly (() => Promise<unknown>)[];
}

/** The next two requests have this fault. */
function twice(fault: S3Fault): () => S3Fault | undefined {
  let left = 2;
  return () => (left-- > 0 ? fault : undefined);
}

async function failure(operation: Promise<unknown>, code: ErrorCode): Promise<CiError> {
  const error = await operation.then(
    () => assert.fail('it did not fail'),
    (error: unknown) => error,
  );
  if (!(error instanceof CiError)) throw error;
  assert.equal(error.code, code, error.message);
  return error;
}

async function unfinishedUploads(ceph: CephS3, prefix: string): Promise<(string | undefined)[]> {
  const { endpoint, credentials, bucket } = ceph;
  const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true });
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }));
  client.destroy();
  return Uploads.map(({ Key }) => Key);
}
