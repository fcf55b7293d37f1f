import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { createReadFromNode } from '../../node-runtime/api/read-from-node.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { createClient } from '../../shared/client.ts';
import { isCiError } from '../../shared/errors.ts';
import { newTaskId, parseNodeId } from '../../shared/ids.ts';
import type { LogEvent } from '../../shared/log.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startProxy } from '../support/cuttable-proxy.ts';
import { testApi } from '../support/test-api.ts';
import { claim, claimant, eventually, passed, submit, taskSpec } from '../support/test-tasks.ts';
import { completeTask } from '../../node-runtime/queue/complete.ts';

const task = newTaskId(5, Date.now(), Math.random);
/** An address where nothing listens. */
const NOWHERE = 'http://127.0.0.1:9';

/** Bytes of which every part is different, so that a gap or a repeat shows. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32BE((at * 2654435761) % 0xffff_ffff, at);
  return bytes;
}

function textOf(events: readonly LogEvent[]): Buffer {
  return Buffer.concat(events.flatMap(event => (event.kind === 'bytes' ? [event.bytes] : [])));
}

describe('calls', () => {
  test('submit a task, look at it, list it, cancel it and try it again', async () => {
    await using api = await testApi();
    const client = await api.client('runner');
    const submitted = await client.call('submitTask', { body: { task: taskSpec({ name: 'mine' }) } }, neverAborted);
    const params = { id: submitted.id };
    assert.equal((await client.call('getTask', { params }, neverAborted)).task.submitter, 'a runner');
    const { tasks } = await client.call('listTasks', { query: { state: 'queued', limit: 5 } }, neverAborted);
    assert.deepEqual(
      tasks.map(({ id }) => id),
      [submitted.id],
    );
    assert.equal((await client.call('cancelTask', { params }, neverAborted)).state, 'finished');
    const again = await client.call('retryTask', { params, body: {} }, neverAborted);
    assert.notEqual(again.id, submitted.id);
    assert.equal(again.task.name, 'mine');
    assert.equal(again.task.cancelled, undefined);
  });

  test('keep fields that this release does not know', async () => {
    await using api = await testApi();
    const client = await api.client('runner');
    const spec = { ...taskSpec(), future: { deep: [1] } };
    const { task: record } = await client.call('submitTask', { body: { task: spec } }, neverAborted);
    assert.deepEqual(record.future, { deep: [1] });
  });

  test('fail with the code and the sentence of the node', async () => {
    await using api = await testApi();
    const client = await api.client('viewer');
    const looking = client.call('getTask', { params: { id: task } }, neverAborted);
    await assert.rejects(looking, error => isCiError(error, 'not-found') && error.message.includes(task));
    await assert.rejects(client.call('submitTask', { body: { task: taskSpec() } }, neverAborted), error =>
      isCiError(error, 'forbidden'),
    );
  });

  test('to nobody are unavailable and name the address', async () => {
    await using client = createClient({ urls: [NOWHERE], token: 'x' });
    const calling = client.call('cluster', {}, neverAborted);
    await assert.rejects(calling, error => isCiError(error, 'unavailable') && error.message.includes(NOWHERE));
  });

  test('to something that is no node say so', async () => {
    await using api = await testApi({ api: { tasks: { get: () => Promise.resolve({ state: 'odd' }) } as never } });
    const client = await api.client('viewer');
    await assert.rejects(client.call('getTask', { params: { id: task } }, neverAborted), error =>
      isCiError(error, 'newer-format'),
    );
  });

  test('go to the next node when one cannot be reached, and a submission is done once', async () => {
    await using api = await testApi();
    await using proxy = await startProxy(api.url);
    const client = await api.client('runner', [NOWHERE, proxy.url, api.url]);
    // The first answer of the submission is lost on its way back.
    proxy.cutAfter(10);
    await client.call('submitTask', { body: { task: taskSpec() } }, neverAborted);
    assert.ok(proxy.opened > 0);
    assert.equal((await client.call('listTasks', {}, neverAborted)).tasks.length, 1);
  });

  test('at the same time find the node that answers, each by itself', async () => {
    await using api = await testApi();
    const client = await api.client('viewer', [NOWHERE, api.url]);
    const calls = ['queued', 'running'].map(state =>
      client.call('listTasks', { query: { state } } as never, neverAborted),
    );
    assert.deepEqual(await Promise.all(calls), [{ tasks: [] }, { tasks: [] }]);
  });

  test('that are given up end with the reason of their signal', async () => {
    await using api = await testApi({ api: { tasks: { get: () => new Promise(() => undefined) } as never } });
    const client = await api.client('viewer');
    const giveUp = new AbortController();
    const calling = client.call('getTask', { params: { id: task } }, giveUp.signal);
    const reason = new Error('enough');
    setImmediate(() => giveUp.abort(reason));
    await assert.rejects(calling, reason);
  });
});

describe('logs', () => {
  test('arrive whole, with their marks in place, attempt after attempt', async () => {
    await using api = await testApi();
    const client = await api.client('viewer');
    api.logs.attempt(11);
    api.logs.mark('begin');
    api.logs.print('first');
    api.logs.end('lost');
    api.logs.attempt(12);
    api.logs.print(Buffer.from([0xff, 0x00, 0xfe]));
    api.logs.mark('middle');
    api.logs.print('!');
    api.logs.end('finished');
    const events = await Array.fromAsync(client.log(task, { follow: true }, neverAborted));
    const told = events.map(event => {
      if (event.kind === 'attempt') return `attempt ${event.fence}`;
      if (event.kind === 'bytes') return `${event.offset} ${Buffer.from(event.bytes).toString('hex')}`;
      return event.kind === 'mark' ? `${event.mark.offset} ${event.mark.text}` : `${event.offset} ${event.reason}`;
    });
    assert.deepEqual(told, [
      'attempt 11',
      '0 begin',
      '0 6669727374',
      '5 lost',
      'attempt 12',
      '0 ff00fe',
      '3 middle',
      '3 21',
      '4 finished',
    ]);
  });

  test('go on at the exact byte after every cut, without gap or repeat', async () => {
    await using api = await testApi();
    await using proxy = await startProxy(api.url);
    const client = await api.client('viewer', [proxy.url]);
    const whole = pattern(3_000_000);
    api.logs.attempt(7);
    for (let at = 0; at < whole.length; at += 100_000) {
      api.logs.mark(`at ${at}`);
      api.logs.print(whole.subarray(at, at + 100_000));
    }
    api.logs.end('finished');
    proxy.cutAfter(400_000);
    const events = await Array.fromAsync(client.log(task, { follow: true }, neverAborted));
    assert.ok(proxy.opened > 5, `${proxy.opened} connections`);
    assert.ok(textOf(events).equals(whole));
    const marks = events.flatMap(event => (event.kind === 'mark' ? [event.mark.text] : []));
    assert.deepEqual(
      marks,
      Array.from({ length: 30 }, (_, index) => `at ${index * 100_000}`),
    );
    assert.equal(events.filter(({ kind }) => kind === 'attempt').length, 1);
    assert.equal(events.filter(({ kind }) => kind === 'end').length, 1);
  });

  test('go on at another node when theirs stops in the middle', async () => {
    await using api = await testApi();
    const other = await api.startAnother();
    const client = await api.client('viewer', [api.url, other.address]);
    api.logs.attempt(7);
    api.logs.print('before ');
    const events: LogEvent[] = [];
    for await (const event of client.log(task, { follow: true }, neverAborted)) {
      events.push(event);
      if (event.kind !== 'bytes' || textOf(events).length > 7) continue;
      await api.server.stop({ graceMs: 0 });
      api.logs.print('after');
      api.logs.end('finished');
    }
    assert.equal(textOf(events).toString(), 'before after');
  });

  test('of a slow reader are read from the node only as fast as they are taken', async () => {
    await using api = await testApi();
    const client = await api.client('viewer');
    api.logs.attempt(7);
    for (let count = 0; count < 64; count++) api.logs.print(pattern(262_144));
    const reader = client.log(task, { follow: true }, neverAborted)[Symbol.asyncIterator]();
    for (let got = 0; got < 2; ) {
      const { value } = await reader.next();
      if (value?.kind === 'bytes') got++;
    }
    await eventually('the node to have sent what it may', () => api.logs.taken > 2_097_152 || undefined);
    assert.ok(api.logs.taken <= 2_097_152 + 3 * 262_144, `${api.logs.taken} bytes taken`);
    await reader.return?.();
  });

  test('begin a number of bytes before the end, or at a position', async () => {
    await using api = await testApi();
    const client = await api.client('viewer');
    api.logs.attempt(7);
    api.logs.print('0123456789');
    api.logs.end('finished');
    const tail = await Array.fromAsync(client.log(task, { tail: 3, follow: true }, neverAborted));
    assert.equal(textOf(tail).toString(), '789');
    const rest = await Array.fromAsync(client.log(task, { from: { fence: 7, offset: 4 } }, neverAborted));
    assert.equal(textOf(rest).toString(), '456789');
  });

  test('can be followed for their steps alone, over every cut, without a byte of what was printed', async () => {
    await using api = await testApi();
    await using proxy = await startProxy(api.url);
    const client = await api.client('viewer', [proxy.url]);
    api.logs.attempt(7);
    api.logs.mark('step 0');
    const told: string[] = [];
    for await (const event of client.log(task, { follow: true, isWithoutBytes: true }, neverAborted)) {
      told.push(event.kind === 'mark' ? event.mark.text : event.kind);
      if (event.kind !== 'mark') continue;
      api.logs.print(pattern(100_000));
      proxy.cut();
      if (told.length < 4) api.logs.mark(`step ${told.length - 1}`);
      else api.logs.end('finished');
    }
    assert.deepEqual(told, ['attempt', 'step 0', 'step 1', 'step 2', 'end']);
    assert.ok(proxy.opened >= 4, `${proxy.opened} connections`);
  });

  test('of nodes that ask each other come from the one that was asked, also from their end', async () => {
    await using api = await testApi();
    const read = createReadFromNode({ token: () => api.access.issueNodeToken(parseNodeId('n2')) });
    api.logs.attempt(7);
    api.logs.print('0123456789');
    api.logs.end('finished');
    const request = { task, fence: 7, from: 2, follow: true };
    const textFrom = async (more: object) =>
      textOf(await Array.fromAsync(read(api.url, { ...request, ...more }, neverAborted))).toString();
    assert.equal(await textFrom({}), '23456789');
    assert.equal(await textFrom({ from: 0, tail: 3 }), '789');
    assert.equal(await textFrom({ from: 0, tail: 0 }), '');
    await assert.rejects(Array.fromAsync(read(NOWHERE, request, neverAborted)), error =>
      isCiError(error, 'unavailable'),
    );
  });

  test('are downloaded byte for byte, whole or in part', async () => {
    await using api = await testApi();
    const client = await api.client('viewer');
    const whole = pattern(1_000_000);
    api.logs.attempt(7);
    for (let at = 0; at < whole.length; at += 70_000) api.logs.print(whole.subarray(at, at + 70_000));
    api.logs.end('finished');
    const raw = async (request: object) =>
      Buffer.concat(await Array.fromAsync(client.rawLog(task, request, neverAborted)));
    assert.ok((await raw({})).equals(whole));
    assert.ok((await raw({ from: 69_990, to: 140_010 })).equals(whole.subarray(69_990, 140_010)));
    assert.ok((await raw({ fence: 7, from: 999_990 })).equals(whole.subarray(999_990)));
    await assert.rejects(raw({ attempt: 9 }), error => isCiError(error, 'not-found'));
  });

  test('end with the reason when the token is revoked, and try no other node', async () => {
    const clock = new FakeClock();
    await using api = await testApi({ clock });
    const token = await api.token('viewer');
    await using client = createClient({ urls: [api.url], token });
    api.logs.attempt(7);
    const admin = await api.client('admin');
    const reading = Array.fromAsync(client.log(task, { follow: true }, neverAborted));
    const ended = assert.rejects(reading, error => isCiError(error, 'unauthenticated'));
    await eventually('the socket', async () => (await api.metrics.sockets.get()).values[0]?.value === 1 || undefined);
    await admin.call('revokeToken', { params: { id: token.split('_')[2]! } }, neverAborted);
    await clock.advance(5000);
    await ended;
  });

  test('of a closed client end', async () => {
    await using api = await testApi();
    const client = createClient({ urls: [api.url], token: await api.token('viewer') });
    api.logs.attempt(7);
    const reader = client.log(task, { follow: true }, neverAborted)[Symbol.asyncIterator]();
    await reader.next();
    await client[Symbol.asyncDispose]();
    await assert.rejects(
      async () => reader.next(),
      error => isCiError(error, 'unavailable'),
    );
  });
});

describe('watches', () => {
  test('begin anew with a snapshot after their connection was cut', async () => {
    await using api = await testApi();
    await using proxy = await startProxy(api.url);
    const client = await api.client('viewer', [proxy.url]);
    const watch = client.watchTasks(neverAborted)[Symbol.asyncIterator]();
    const next = async () => (await watch.next()).value;
    assert.deepEqual(await next(), { kind: 'snapshot', tasks: [] });
    proxy.cut();
    const id = await submit(api.cluster, {});
    const again = await next();
    assert.equal(again?.kind === 'snapshot' && again.tasks[0]?.id, id);
    await watch.return?.();
  });

  test('of nodes tell who is there', async () => {
    await using api = await testApi();
    const client = await api.client('viewer');
    for await (const event of client.watchNodes(neverAborted)) {
      assert.deepEqual(event, { kind: 'snapshot', nodes: [] });
      break;
    }
  });
});

describe('snapshots and artifacts', () => {
  test('a snapshot is published when its packs are there, and whole as long as they are', async () => {
    await using api = await testApi();
    const client = await api.client('runner');
    const bytes = Buffer.from('a pack');
    const id = createHash('sha256').update(bytes).digest('hex');
    const commit = 'c'.repeat(40);
    const body = { v: 1, commit, tree: 'd'.repeat(40), shallow: [], packs: [{ id, bytes: bytes.length }], created: 1 };
    const publish = () => client.call('putSnapshot', { params: { commit }, body }, neverAborted);
    const check = async () =>
      (await client.call('checkSnapshots', { body: { commits: ['e'.repeat(40), commit] } }, neverAborted)).present;
    await assert.rejects(publish(), error => isCiError(error, 'conflict') && error.message.includes('is not there'));
    assert.deepEqual(await check(), []);
    const { url } = await client.call('uploadPack', { params: { id } }, neverAborted);
    await client.upload(url, bytes, neverAborted);
    await publish();
    assert.deepEqual(await check(), [commit]);
    assert.deepEqual(await client.call('getSnapshot', { params: { commit } }, neverAborted), body);
    await api.cluster.objects.deleteMany([api.cluster.objectKeys.pack(id)], { signal: neverAborted });
    assert.deepEqual(await check(), []);
  });

  test('an artifact is downloaded by its path, as a file that no browser shows', async () => {
    await using api = await testApi();
    const { cluster } = api;
    const client = await api.client('viewer');
    const id = await submit(cluster, {});
    const held = await claim(cluster, id, await claimant(cluster));
    const bytes = Buffer.from('<script>alert(1)</script>');
    const file = { path: 'out/ü b.html', size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    const call = { signal: neverAborted };
    await cluster.objects.put(cluster.objectKeys.artifact(id, held.fence, file.sha256), bytes, call);
    const manifest = Buffer.from(JSON.stringify({ v: 1, files: [file] }));
    await cluster.objects.put(cluster.objectKeys.artifactManifest(id, held.fence), manifest, call);
    const result = { ...passed(held), artifacts: { count: 1, bytes: bytes.length } };
    await completeTask(cluster, held, result, neverAborted);
    assert.deepEqual(await client.call('listArtifacts', { params: { id } }, neverAborted), { artifacts: [file] });
    const got = Buffer.concat(await Array.fromAsync(client.download(id, file.path, neverAborted)));
    assert.ok(got.equals(bytes));
    const token = await api.token('viewer');
    const address = `${api.url}/v1/tasks/${id}/artifacts/out/${encodeURIComponent('ü b.html')}`;
    const response = await fetch(address, { headers: { authorization: `Bearer ${token}` } });
    await response.body?.cancel();
    assert.equal(response.headers.get('content-type'), 'application/octet-stream');
    assert.match(response.headers.get('content-disposition') ?? '', /^attachment/);
    const missing = Array.fromAsync(client.download(id, '../../etc/passwd', neverAborted));
    await assert.rejects(missing, isCiError);
  });
});
