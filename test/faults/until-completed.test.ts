import assert from 'node:assert/strict';
import { test } from 'node:test';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { DoctoredTape, ROOT } from './doctored-tape.ts';
import { untilCompleted } from './until-completed.ts';

const cluster = ROOT.slice(0, -1);

test('a task that has no result when the time is over is named, though it may get one later', async () => {
  const doctored = new DoctoredTape();
  for (const task of ['done', 'late']) doctored.submit(task);
  doctored.complete('done', doctored.claim('done'));
  const changed = (signal: AbortSignal) =>
    new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
  const tape = { events: doctored.events, changed };
  assert.deepEqual(await untilCompleted({ tape, cluster }, ['done', 'late'], 1, neverAborted), ['late']);
});

test('nobody is waited for when all have their result', async () => {
  const doctored = new DoctoredTape();
  doctored.complete('done', doctored.claim('done'));
  const tape = { events: doctored.events, changed: () => assert.fail('there is nothing to wait for') };
  assert.deepEqual(await untilCompleted({ tape, cluster }, ['done'], 60_000, neverAborted), []);
});
