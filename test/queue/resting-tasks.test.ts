import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RestingTasks } from '../../node-runtime/queue/resting-tasks.ts';
import type { TaskId } from '../../shared/ids.ts';
import { FakeClock } from '../support/fake-clock.ts';

const id = (at: number) => `task-${at}` as TaskId;

test('a task that was given up rests for 1 s, then twice as long each time, a minute at most', async () => {
  const clock = new FakeClock();
  const resting = new RestingTasks(clock);
  assert.deepEqual([resting.has(id(1)), resting.nextMs], [false, undefined]);
  for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
    resting.noteGivenUp(id(1), 0);
    assert.equal(resting.nextMs, seconds * 1000);
    await clock.advance(seconds * 1000 - 1);
    assert.equal(resting.has(id(1)), true);
    await clock.advance(1);
    assert.deepEqual([resting.has(id(1)), resting.nextMs], [false, undefined]);
  }
});

test('each task rests for itself, and the next to have rested is told', async () => {
  const clock = new FakeClock();
  const resting = new RestingTasks(clock);
  resting.noteGivenUp(id(1), 0);
  resting.noteGivenUp(id(1), 0);
  await clock.advance(500);
  resting.noteGivenUp(id(2), 0);
  assert.equal(resting.nextMs, 1000);
  await clock.advance(1000);
  assert.deepEqual([resting.has(id(1)), resting.has(id(2)), resting.nextMs], [true, false, 500]);
});

test('a task rests from the end of the node’s own pause on', async () => {
  const clock = new FakeClock();
  const resting = new RestingTasks(clock);
  resting.noteGivenUp(id(1), 60_000);
  await clock.advance(60_999);
  assert.equal(resting.has(id(1)), true);
  await clock.advance(1);
  assert.equal(resting.has(id(1)), false);
});

test('of very many tasks those given up longest ago are forgotten', () => {
  const resting = new RestingTasks(new FakeClock());
  for (let at = 0; at < 5000; at++) resting.noteGivenUp(id(at), 0);
  let count = 0;
  for (let at = 0; at < 5000; at++) if (resting.has(id(at))) count++;
  assert.equal(count, 4096);
  assert.deepEqual([resting.has(id(0)), resting.has(id(4999))], [false, true]);
});
