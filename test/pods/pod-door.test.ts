import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { dialNode } from '../../node-runtime/pods/node-link.ts';
import { PodChannel } from '../../node-runtime/pods/pod-channel.ts';
import { PodDoor } from '../../node-runtime/pods/pod-door.ts';
import { encodeFrame } from '../../node-runtime/runner/supervisor/frames.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import type { LeaseId } from '../../node-runtime/store/store.ts';

const CONTROL = { kind: 'control', role: 'prepare' } as const;
const HERE = { host: '127.0.0.1', port: 0 };

/** Resolves when the node has hung up. */
async function shutOut(pod: TLSSocket): Promise<void> {
  pod.resume();
  await once(pod, 'end');
  pod.destroy();
}

async function opened() {
  const door = await PodDoor.open(HERE);
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

async function channelled() {
  const it = await opened();
  const pod = await dialNode(it.link, CONTROL);
  const socket = await it.visit.control('prepare', neverAborted);
  const sent = { monotonic: systemClock.monotonic() - 1000, wall: systemClock.now() - 1000 };
  const renewal = () => ({ lease: '7' as LeaseId, sent });
  return { ...it, pod, channel: new PodChannel({ socket, clock: systemClock, renewal }) };
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

test('a pod is told the age of the lease, as clocks of two machines cannot be compared', async () => {
  await using it = await channelled();
  it.pod.write(encodeFrame({ kind: 'renewal-wanted', question: 5 }));
  const [bytes] = (await once(it.pod, 'data')) as [Buffer];
  const { ageMs, ...rest } = JSON.parse(bytes.subarray(4).toString());
  assert.deepEqual(rest, { kind: 'renewal', question: 5, lease: '7' });
  assert.ok(ageMs >= 1000, String(ageMs));
});
