import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HandOver, HandOverRoom } from '../../node-runtime/pods/hand-over-room.ts';
import type { Visit } from '../../node-runtime/pods/pod-door.ts';
import { PodSandbox } from '../../node-runtime/pods/pod-sandbox.ts';
import type { PodStay } from '../../node-runtime/pods/pod-stay.ts';
import { foldersIn } from '../../node-runtime/runner/supervisor/sandbox-folders.ts';
import type { LeaseId } from '../../node-runtime/store/store.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import type { TaskId } from '../../shared/ids.ts';
import { settle } from '../support/fake-clock.ts';

test('a sandbox whose files cannot be removed keeps no other from handing over its own', async () => {
  const room = new HandOverRoom(800, 4);
  const handOver = new HandOver(room);
  await handOver.growTo(room.mostBytes, neverAborted);
  const stay = { lost: neverAborted, channel: undefined, [Symbol.asyncDispose]: async () => undefined };
  const sandbox = new PodSandbox({
    stay: stay as unknown as PodStay,
    visit: {} as Visit,
    attempt: { task: '5task' as TaskId, fence: 1, lease: '1' as unknown as LeaseId },
    stop: neverAborted,
    // No system has such a folder, and none takes it for one that is gone.
    folders: foldersIn('a\0b'),
    inside: foldersIn('/inside'),
    mostBytes: room.mostBytes,
    handOver,
    clock: systemClock,
  });
  let isNext = false;
  const next = new HandOver(room).growTo(room.mostBytes, neverAborted).then(() => {
    isNext = true;
  });
  await settle();
  assert.equal(isNext, false);
  await assert.rejects(sandbox[Symbol.asyncDispose](), /null bytes/);
  await settle();
  assert.equal(isNext, true);
  await next;
});
