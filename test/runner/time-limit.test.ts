import assert from 'node:assert/strict';
import { test } from 'node:test';
import { timeLimit } from '../../node-runtime/runner/time-limit.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

test('a time limit fires when its time is over', async () => {
  const clock = new FakeClock();
  await using limit = timeLimit(clock, { stoodStill: async () => 0 }, 60_000);
  await clock.advance(59_999);
  assert.equal(limit.over.aborted, false);
  await clock.advance(1);
  assert.equal(limit.over.aborted, true);
});

test('a time limit asks how long the sandbox has stood still only when it seems over, and then in moderation', async () => {
  const clock = new FakeClock();
  let asked = 0;
  const sandbox = {
    stoodStill: async () => {
      asked++;
      return Math.max(0, clock.monotonic() - 59_999);
    },
  };
  await using limit = timeLimit(clock, sandbox, 60_000);
  await clock.advance(59_999);
  assert.equal(asked, 0);
  await clock.advance(600_000);
  assert.equal(limit.over.aborted, false);
  assert.ok(asked <= 2401, `It asked ${asked} times in 10 minutes`);
});

test('a time limit that was disposed of does not fire, and leaves nothing waiting', async () => {
  const clock = new FakeClock();
  const limit = timeLimit(clock, { stoodStill: async () => 0 }, 60_000);
  await clock.advance(30_000);
  await limit[Symbol.asyncDispose]();
  await settle();
  assert.equal(clock.sleeping, 0);
  await clock.advance(60_000);
  assert.equal(limit.over.aborted, false);
});
