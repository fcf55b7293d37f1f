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
  for (let i = 0; i < 5; i++) health.noteFailure();
  await clock.advance(60_000);
  health.noteSuccess();
  health.noteFailure();
  await clock.advance(1000);
  assert.equal(health.isWell, true);
});
