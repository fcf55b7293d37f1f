import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeHealth } from '../../node-runtime/queue/node-health.ts';
import { FakeClock } from '../support/fake-clock.ts';

test('a node that fails its tasks claims none for 1 s, then twice as long each time, a minute at most', async () => {
  const clock = new FakeClock();
  const health = new NodeHealth(clock);
  assert.equal(health.isWell, true);
  for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
    health.noteFailure();
    await clock.advance(seconds * 1000 - 1);
    assert.equal(health.isWell, false);
    await clock.advance(1);
    assert.equal(health.isWell, true);
  }
});

test('a task that ends well makes the next failure the first again', async () => {
  const clock = new FakeClock();
  const health = new NodeHealth(clock);
  for (let i = 0; i < 5; i++) {
    health.noteFailure();
    await clock.advance(60_000);
  }
  health.noteSuccess();
  health.noteFailure();
  await clock.advance(1000);
  assert.equal(health.isWell, true);
});

test('attempts that fail together count once, whoever of them is the last to say so', async () => {
  const clock = new FakeClock();
  const health = new NodeHealth(clock);
  const begun: boolean[] = [];
  for (let i = 0; i < 16; i++) begun.push(health.noteFailure());
  assert.deepEqual(begun, [true, ...Array.from({ length: 15 }, () => false)]);
  assert.equal(health.pauseMs, 1000);
  await clock.advance(400);
  assert.deepEqual([health.noteFailure(), health.pauseMs], [false, 600]);
  await clock.advance(600);
  assert.deepEqual([health.noteFailure(), health.pauseMs], [true, 2000]);
});
