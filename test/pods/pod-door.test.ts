import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { dialNode } from '../../node-runtime/pods/node-link.ts';
import { PodChannel } from '../../node-runtime/pods/pod-channel.ts';
import { PodDoor } from '../../node-runtime/pods/pod-door.ts';
import { PSK_TLS } from '../../node-runtime/pods/pod-messages.ts';
import { encodeFrame } from '../../node-runtime/runner/supervisor/frames.ts';
import { type Clock, neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import type { LeaseId } from '../../node-runtime/store/store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { eventually } from '../support/test-tasks.ts';

const CONTROL = { kind: 'control', role: 'prepare' } as const;
const HERE = { host: '127.0.0.1', port: 0 };

/** Resolves when the node has hung up. */
async function shutOut(pod: Socket): Promise<void> {
  pod.resume();
  await once(pod, 'end');
  pod.destroy();
}

async function opened(greetingLimitMs?: number) {
  const door = await PodDoor.open(HERE, greetingLimitMs);
  const visit = door.expect('pod-1');
  const link = { host: HERE.host, port: door.port, name: 'pod-1', key: visit.key };
  return { door, visit, link, [Symbol.asyncDispose]: () => door[Symbol.asyncDispose]() };
}

test('a pod that is expected comes in once, and what it says arrives', async () => {
  await using it = await opened();
  const pod = await dialNode(it.link, CONTROL);
  pod.write('hello');
  const node = await it.visit.control('prepare', neverAborted);
  assert.equal(String((await once(node, 'data'))[0]), 'hello');
});

test('nobody comes in without the secret, under another name, or when the pod is expected no more', async () => {
  await using it = await opened();
  const refused = (changes: object) =>
    assert.rejects(dialNode({ ...it.link, ...changes }, CONTROL), /Cannot reach the node/);
  await refused({ key: Buffer.alloc(32) });
  await refused({ name: 'pod-2' });
  it.visit[Symbol.dispose]();
  await refused({});
});

test('a second one of the same role, and a stream that nobody has named, are shut out', async () => {
  await using it = await opened();
  const first = await dialNode(it.link, CONTROL);
  await it.visit.control('prepare', neverAborted);
  for (const greeting of [CONTROL, { kind: 'stream', id: 'ab'.repeat(16) } as const]) {
    const other = await dialNode(it.link, greeting);
    await shutOut(other);
  }
  assert.equal(first.destroyed, false);
});

test('a stream carries all its bytes to who has named it, and its name is good for one', async () => {
  await using it = await opened();
  const { id, socket } = it.visit.stream();
  const pod = await dialNode(it.link, { kind: 'stream', id });
  const sent = Buffer.alloc(3_000_000, 7);
  pod.end(sent);
  const parts: Buffer[] = [];
  for await (const part of await socket) parts.push(part);
  assert.ok(Buffer.concat(parts).equals(sent));
  const again = await dialNode(it.link, { kind: 'stream', id });
  await shutOut(again);
});

async function channelled(clock: Clock = systemClock) {
  const it = await opened();
  const pod = await dialNode(it.link, CONTROL);
  const socket = await it.visit.control('prepare', neverAborted);
  const sent = { monotonic: clock.monotonic() - 1000, wall: clock.now() - 1000 };
  const renewal = () => ({ lease: '7' as LeaseId, sent });
  return { ...it, pod, channel: new PodChannel({ socket, clock, renewal }) };
}

test('a pod that talks nonsense is hung up on, and what was asked of it fails', async () => {
  for (const nonsense of [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    encodeFrame({ kind: 'ended', id: 1, end: { kind: 'flew' } }),
  ]) {
    await using it = await channelled();
    const asked = it.channel.ask({ kind: 'kill' });
    it.pod.write(nonsense);
    await assert.rejects(asked, /Cannot go on with the task as its pod is gone/);
    assert.ok(it.channel.closed.aborted);
  }
});

test('a pod that talks on but keeps an answer for too long is hung up on', async () => {
  const clock = new FakeClock();
  await using it = await channelled(clock);
  const stopped = new AbortController();
  const run = { kind: 'run', stream: '', command: { argv: ['true'], cwd: '/', env: {} } } as const;
  const asked = it.channel.ask(run, stopped.signal);
  asked.catch(() => undefined);
  let heard = 0;
  it.pod.on('data', () => heard++).on('error', () => undefined);
  const talkOn = async (seconds: number) => {
    for (let passed = 0; passed < seconds && !it.channel.closed.aborted; passed += 20) {
      await clock.advance(20_000);
      const before = heard;
      it.pod.write(encodeFrame({ kind: 'renewal-wanted', question: passed }));
      await eventually('it is answered', () => heard > before || it.channel.closed.aborted || undefined);
    }
  };
  await talkOn(600);
  assert.equal(it.channel.closed.aborted, false, 'a command may take its time');
  stopped.abort();
  await clock.advance(0);
  const ended = assert.rejects(asked, /its pod is gone/);
  await talkOn(80);
  await ended;
});

test('a node that has stood still hears what came meanwhile before it hangs up', async () => {
  const clock = new FakeClock();
  await using it = await channelled(clock);
  const asked = it.channel.ask({ kind: 'kill' });
  await clock.advance(1000);
  clock.standStill(600_000);
  await clock.advance(0);
  it.pod.write(encodeFrame({ kind: 'done', id: 1 }));
  assert.deepEqual(await asked, { kind: 'done', id: 1 });
});

test('a pod of which nothing is heard for a minute is given up', async () => {
  const clock = new FakeClock();
  await using it = await channelled(clock);
  await clock.advance(60_000);
  assert.equal(it.channel.closed.aborted, false);
  await clock.advance(10_000);
  await eventually('it is given up', () => it.channel.closed.aborted || undefined);
});

test('a pod is told the age of the lease, as clocks of two machines cannot be compared', async () => {
  await using it = await channelled();
  it.pod.write(encodeFrame({ kind: 'renewal-wanted', question: 5 }));
  const [bytes] = (await once(it.pod, 'data')) as [Buffer];
  const { ageMs, ...rest } = JSON.parse(bytes.subarray(4).toString());
  assert.deepEqual(rest, { kind: 'renewal', question: 5, lease: '7' });
  assert.ok(ageMs >= 1000, String(ageMs));
});

test('a session of before lets nobody in: only the secret does', async () => {
  await using it = await opened();
  const pod = await dialNode(it.link, CONTROL);
  const heard = once(pod, 'session') as Promise<[Buffer]>;
  const node = await it.visit.control('prepare', neverAborted);
  node.write('hello');
  pod.resume();
  const [session] = await heard;
  const again = connectTls({ ...PSK_TLS, host: it.link.host, port: it.link.port, session });
  await assert.rejects(once(again, 'secureConnect'));
});

test('one address cannot take all connections of a node', async () => {
  await using it = await opened(1000);
  const pods: Socket[] = [];
  let refused = 0;
  for (let at = 0; at < 200; at++) {
    const pod = connect(it.link.port, it.link.host);
    pods.push(pod);
    pod.on('error', () => undefined).on('close', () => refused++);
    await once(pod, 'connect');
  }
  await eventually('those beyond the limit are shut out', () => refused >= 72 || undefined);
  for (const pod of pods) pod.destroy();
  await eventually('it comes in when they are gone', () => dialNode(it.link, CONTROL).catch(() => undefined));
});

test('a connection that proves nothing is closed before long', async () => {
  await using it = await opened(300);
  const pod = connect(it.link.port, it.link.host);
  await shutOut(pod);
});

test('one that says nothing of what it is for is closed before long, though it knows the secret', async () => {
  await using it = await opened(1000);
  const { host, port, name, key } = it.link;
  const options = { ...PSK_TLS, host, port, checkServerIdentity: () => undefined };
  const pod = connectTls({ ...options, pskCallback: () => ({ psk: key, identity: name }) });
  await once(pod, 'secureConnect');
  await shutOut(pod);
});

test('a pod that asks without end and does not read is answered no more than fits on the line', async () => {
  await using it = await opened();
  const pod = await dialNode(it.link, CONTROL);
  const socket = await it.visit.control('prepare', neverAborted);
  const sent = { monotonic: systemClock.monotonic(), wall: systemClock.now() };
  const channel = new PodChannel({ socket, clock: systemClock, renewal: () => ({ lease: '7' as LeaseId, sent }) });
  pod.pause();
  const questions = Buffer.concat(Array(20_000).fill(encodeFrame({ kind: 'renewal-wanted', question: 1 })));
  let most = 0;
  for (let at = 0; at < 20; at++) {
    await new Promise(resolve => pod.write(questions, resolve));
    most = Math.max(most, socket.writableLength);
  }
  await eventually('all are heard', () => socket.bytesRead > 19 * questions.length || undefined);
  assert.ok(Math.max(most, socket.writableLength) < 1_000_000, String(most));
  channel.close();
});
