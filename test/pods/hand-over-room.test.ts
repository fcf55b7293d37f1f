import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HandOver, HandOverRoom } from '../../node-runtime/pods/hand-over-room.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { settle } from '../support/fake-clock.ts';

const ROOM = { bytes: 800, slots: 4 };

/** An attempt that hands over so much, and whether it may. */
function handOver(room: HandOverRoom, bytes: number, signal = neverAborted) {
  const own = new HandOver(room);
  const told = { may: false, refused: undefined as unknown, end: () => own[Symbol.dispose]() };
  own.growTo(bytes, signal).then(
    () => {
      told.may = true;
    },
    error => {
      told.refused = error;
    },
  );
  return told;
}

test('each slot has its share at any time, and all of it fits', async () => {
  const room = new HandOverRoom(ROOM.bytes, ROOM.slots);
  const large = handOver(room, room.mostBytes);
  const small = Array.from({ length: ROOM.slots - 1 }, () => handOver(room, room.shareBytes));
  await settle();
  assert.deepEqual(
    [large, ...small].map(({ may }) => may),
    [true, true, true, true],
  );
  assert.ok(room.mostBytes + (ROOM.slots - 1) * room.shareBytes <= ROOM.bytes);
});

test('more than that one attempt has at a time, in the order in which they came', async () => {
  const room = new HandOverRoom(ROOM.bytes, ROOM.slots);
  const [first, second, third] = [1, 2, 3].map(() => handOver(room, room.shareBytes + 1)) as [
    ReturnType<typeof handOver>,
    ReturnType<typeof handOver>,
    ReturnType<typeof handOver>,
  ];
  await settle();
  assert.deepEqual([first.may, second.may, third.may], [true, false, false]);
  first.end();
  await settle();
  assert.deepEqual([second.may, third.may], [true, false]);
  second.end();
  await settle();
  assert.equal(third.may, true);
});

test('one that waits no longer is in nobody’s way', async () => {
  const room = new HandOverRoom(ROOM.bytes, ROOM.slots);
  const stop = new AbortController();
  const first = handOver(room, room.mostBytes);
  const second = handOver(room, room.mostBytes, stop.signal);
  const third = handOver(room, room.mostBytes);
  stop.abort(new Error('cancelled'));
  await settle();
  assert.equal((second.refused as Error).message, 'cancelled');
  assert.equal(third.may, false, 'the first one is still there');
  first.end();
  await settle();
  assert.equal(third.may, true);
});

test('who has it already does not wait for itself', async () => {
  const own = new HandOver(new HandOverRoom(ROOM.bytes, ROOM.slots));
  await own.growTo(200, neverAborted);
  await own.growTo(300, neverAborted);
  own[Symbol.dispose]();
});
