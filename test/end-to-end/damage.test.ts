import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { newTaskId } from '../../shared/ids.ts';
import { type CephS3, startCeph, whyNoCeph } from '../support/ceph-server.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { etcdctl, keysUnder, recordAt } from '../support/etcdctl.ts';
import { type RealCluster, realCluster } from '../support/real-cluster.ts';
import { temporaryFolder } from '../support/simple-ci.ts';
import { eventually } from '../support/test-tasks.ts';
import { smallDisk } from '../support/small-disk.ts';
import { openSocket } from '../support/test-socket.ts';

const skip = whyNoCeph();
let etcd: EtcdServer;
let s3: CephS3;
let cluster: RealCluster;
before(async () => {
  if (skip) return;
  [etcd, s3] = await Promise.all([startEtcd(), startCeph()]);
  cluster = await realCluster({ etcd, s3 }, 'n1');
});
after(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await etcd?.[Symbol.asyncDispose]();
  await s3?.[Symbol.asyncDispose]();
});

const newId = () => newTaskId(0, Date.now(), Math.random);
const put = (key: string, value: string) => etcdctl(etcd, 'put', `${cluster.id}/${key}`, value);
/** Nodes go on: they live, list and run. */
async function goesOn(): Promise<void> {
  const { outcome, message } = await cluster.finished(await cluster.submit({}));
  assert.equal(outcome, 'passed', message);
  assert.equal((await cluster.cli(['tasks'])).code, 0);
  assert.equal((await cluster.cli(['nodes'])).code, 0);
}

suite('records that this release cannot read', { skip }, () => {
  const spec = { name: 'x', steps: [{ run: 'true' }], submitted: 1, submitter: 'someone' };

  test('a queued task of a newer release is left to newer nodes, and others behind it run', async () => {
    const id = newId();
    const value = JSON.stringify({ ...spec, v: 2, needs: { something: 'new' } });
    await put(`tasks/${id}`, value);
    await goesOn();
    const ended = await cluster.cli(['task', id]);
    assert.equal(ended.code, 2);
    assert.match(
      ended.stderr,
      new RegExp(`^simple-ci: Cannot read [^\\n]*${id} as a newer release wrote it: format 2, this release knows 1`),
    );
    assert.equal((await etcdctl(etcd, 'get', '--print-value-only', `${cluster.id}/tasks/${id}`)).trim(), value);
    assert.deepEqual(await keysUnder(etcd, `${cluster.id}/tasks/${id}`), [`${cluster.id}/tasks/${id}`]);
    await etcdctl(etcd, 'del', `${cluster.id}/tasks/${id}`);
  });

  for (const [what, value] of [
    ['not JSON', 'junk \u0007'],
    ['empty', ''],
    ['no map', '[1]'],
    ['a task without steps', JSON.stringify({ v: 1, name: 'x', submitted: 1, submitter: 's' })],
    ['of a version that is a word', JSON.stringify({ ...spec, v: 'two' })],
  ] as const) {
    test(`a queued record that is ${what} stops nobody, and is named when it is asked for`, async () => {
      const id = newId();
      await put(`tasks/${id}`, value);
      await goesOn();
      const ended = await cluster.cli(['task', id]);
      assert.notEqual(ended.code, 0);
      assert.match(ended.stderr, new RegExp(`^simple-ci: Cannot read [^\\n]*tasks/${id} as [^\\n]+\\n$`));
      await etcdctl(etcd, 'del', `${cluster.id}/tasks/${id}`);
    });
  }

  test('keys that are no task ids stop nobody', async () => {
    const keys = ['x', 'x.lock', '5/6', '../y', `${newId()}.lock.lock`, 'ÄÖÜ', `5${'A'.repeat(26)}`];
    for (const key of keys) await put(`tasks/${key}`, JSON.stringify({ ...spec, v: 1 }));
    await goesOn();
    for (const key of keys) assert.ok(await recordAt(etcd, `${cluster.id}/tasks/${key}`), key);
    for (const key of keys) await etcdctl(etcd, 'del', `${cluster.id}/tasks/${key}`);
  });

  test('a finished task of a newer release is listed around and named when it is asked for', async () => {
    const done = await cluster.submit({});
    await cluster.finished(done);
    const record = await recordAt(etcd, `${cluster.id}/completed/${done}`);
    const [newer, junk] = [newId(), newId()];
    await put(`completed/${newer}`, JSON.stringify({ ...record, v: 2 }));
    await put(`completed/${junk}`, 'junk');
    await goesOn();
    for (const id of [newer, junk]) {
      const ended = await cluster.cli(['task', id]);
      assert.notEqual(ended.code, 0);
      assert.match(ended.stderr, new RegExp(`^simple-ci: Cannot read [^\\n]*completed/${id} as [^\\n]+\\n$`));
    }
    const { tasks } = JSON.parse((await cluster.cli(['tasks', '--json'])).stdout);
    assert.ok(tasks.some(({ id }: { id: string }) => id === done));
  });

  test('junk under members, attempts and tokens stops nobody', async () => {
    await put('members/ghost', 'junk');
    await put('members/newer', JSON.stringify({ v: 2 }));
    await put('tokens/abcdefgh', 'junk');
    const id = newId();
    await put(`attempts/${id}`, 'junk');
    await goesOn();
    assert.equal((await cluster.cli(['token', 'list'])).code, 0);
  });

  test('a node that starts among all of it works', async () => {
    const id = newId();
    await put(`tasks/${id}`, 'junk');
    await using second = await cluster.add('n2');
    await goesOn();
    second.process.kill('SIGTERM');
    assert.equal(await second.ended, 0);
    await etcdctl(etcd, 'del', `${cluster.id}/tasks/${id}`);
  });
});

suite('requests that no client of ours would send, to a real node', { skip }, () => {
  const url = (path: string) => `${cluster.nodes[0]!.address}${path}`;
  const headers = () => ({ authorization: `Bearer ${cluster.token}`, 'content-type': 'application/json' });

  for (const [what, body, status, code, message] of [
    [
      'a task of 70 KiB',
      () =>
        JSON.stringify({
          id: newTaskId(5, Date.now(), Math.random),
          task: { name: 'x', steps: [{ run: 'x'.repeat(70_000) }] },
        }),
      413,
      'too-large',
      /too large/,
    ],
    ['a body of 40 MB', () => 'x'.repeat(40_000_000), 413, 'too-large', /too large/],
    ['no JSON', () => '{"id": ', 400, 'invalid', /JSON/],
    [
      'an id with a slash',
      () => JSON.stringify({ id: '../x', task: { name: 'x', steps: [{ run: 'x' }] } }),
      400,
      'invalid',
      /"\.\.\/x"/,
    ],
    [
      'a field of a wrong type',
      () => JSON.stringify({ id: newTaskId(5, Date.now(), Math.random), task: { name: 'x', steps: 'x' } }),
      400,
      'invalid',
      /steps.* must be a list: "x"/,
    ],
  ] as const) {
    test(`${what} is ${status}, and nothing is stored`, async () => {
      const before = await keysUnder(etcd, `${cluster.id}/tasks/`);
      const answer = await post(url('/v1/tasks'), headers(), body());
      assert.equal(answer.status, status);
      const { error } = JSON.parse(answer.text);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.deepEqual(await keysUnder(etcd, `${cluster.id}/tasks/`), before);
    });
  }

  test('a WebSocket that sends rubbish is told so, then ended, and the node goes on', async () => {
    const { socket, messages, closed } = await openSocket(cluster.nodes[0]!.address, cluster.token);
    for (const text of [
      '',
      '{',
      '[]',
      '{"type":"no-such"}',
      '{"type":"subscribe","id":{}}',
      '\u0000',
      '{"__proto__":1}',
    ])
      socket.send(text);
    socket.send(randomBytes(1000));
    const complaints = () => messages.filter(message => /"Cannot /.test(JSON.stringify(message)));
    await eventually('it was told', () => complaints().length >= 8 || undefined);
    socket.send('x'.repeat(70_000));
    await closed;
    await goesOn();
  });

  test('bytes that are no HTTP are answered and closed', async () => {
    const { hostname, port } = new URL(url(''));
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined).resume();
    socket.end(randomBytes(10_000));
    await once(socket, 'close');
    await goesOn();
  });
});

/** Runs a task on the files of a folder; what came of its first attempt: how that was given up, or its verdict. */
async function runIn(cluster: RealCluster, folder: string) {
  const sent = await cluster.cli(['run', '--detach', '--json', '--', 'true'], { cwd: folder });
  assert.equal(sent.code, 0, sent.stderr);
  const { id } = JSON.parse(sent.stdout.trimEnd().split('\n').at(-1)!);
  const tried = await eventually('an attempt has ended', async () => {
    const view = await cluster.view(id);
    return view.past[0] ?? (view.state === 'finished' ? (view.result.past[0] ?? view.result) : undefined);
  });
  return { id, tried };
}

suite('a disk that is full', { skip: skip || (process.getuid?.() !== 0 && 'mounting a small disk needs root') }, () => {
  test('costs an attempt that says so, never a verdict; with room again the next task passes', async t => {
    await using small = await onSmallDisk('24m');
    if (!small) return t.skip('this machine does not allow mounting a tmpfs');
    const { own, disk } = small;
    await using workspace = await temporaryFolder();
    await writeFile(join(workspace.path, 'large'), randomBytes(30_000_000));
    const { id, tried } = await runIn(own, workspace.path);
    assert.equal('end' in tried && tried.end, 'infrastructure');
    assert.match(tried.message ?? '', new RegExp(`^Cannot prepare the workspace as there is no space left: "${disk}/`));
    assert.equal((await own.cli(['cancel', id])).code, 0);
    assert.equal((await own.finished(id)).outcome, 'cancelled');
    assert.equal((await own.finished(await own.submit({}))).outcome, 'passed');
    // What it could not finish is not left there.
    const left = await readdir(join(disk, 'data/sandboxes/small'), { recursive: true });
    assert.deepEqual(
      left.filter(name => /large/.test(name)),
      [],
    );
  });

  test('is no verdict either when the files fit as they were sent, and not as they are', async t => {
    await using small = await onSmallDisk('16m');
    if (!small) return t.skip('this machine does not allow mounting a tmpfs');
    const { own } = small;
    await using workspace = await temporaryFolder();
    await writeFile(join(workspace.path, 'large'), Buffer.alloc(30_000_000, 'x'));
    const { id, tried } = await runIn(own, workspace.path);
    assert.match(
      tried.message ?? '',
      /^Cannot write the files of snapshot [0-9a-f]+ as there is no space left, or the disk/,
    );
    assert.equal('end' in tried && tried.end, 'infrastructure');
    assert.equal((await own.cli(['cancel', id])).code, 0);
  });

  test('is no verdict either when it is out of files and not of bytes', async t => {
    await using small = await onSmallDisk('64m,nr_inodes=700');
    if (!small) return t.skip('this machine does not allow mounting a tmpfs');
    const { own } = small;
    await using workspace = await temporaryFolder();
    for (let at = 0; at < 1000; at++) await writeFile(join(workspace.path, `${at}`), '');
    const { id, tried } = await runIn(own, workspace.path);
    assert.match(tried.message ?? '', /no space left/);
    assert.equal('end' in tried && tried.end, 'infrastructure');
    assert.equal((await own.cli(['cancel', id])).code, 0);
  });

  test('that a task has filled itself is the task’s own failure', async t => {
    await using small = await onSmallDisk('16m');
    if (!small) return t.skip('this machine does not allow mounting a tmpfs');
    const { own } = small;
    const id = await own.submit({ steps: [{ run: 'head -c 30000000 /dev/zero > large' }] });
    const result = await own.finished(id);
    assert.deepEqual([result.outcome, result.attempt], ['failed', 1]);
    assert.match((await own.cli(['logs', id])).stdout, /No space left on device/);
    assert.equal((await own.finished(await own.submit({}))).outcome, 'passed');
  });
});

/** A cluster whose one node has its data on a disk of that size; undefined where none can be mounted. */
async function onSmallDisk(size: string) {
  await using made = new AsyncDisposableStack();
  const disk = made.use(await smallDisk(size))?.path;
  if (disk === undefined) return undefined;
  const own = made.use(await realCluster({ etcd, s3 }));
  await own.add('small', '--data', join(disk, 'data'));
  const all = made.move();
  return { disk, own, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** With node:http, which sends all of a body before it minds that the answer has come. */
function post(url: string, headers: Record<string, string>, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const all = { ...headers, 'content-length': Buffer.byteLength(body) };
    const sending = request(url, { method: 'POST', headers: all }, response => {
      let text = '';
      response.setEncoding('utf8').on('data', chunk => {
        text += chunk;
      });
      response.on('error', reject).on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sending.on('error', reject).end(body);
  });
}
