import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleepAwake, wokenUp } from '../../extension/sleep-awake.ts';

/** Time passes only while somebody sleeps; of one of the pauses the machine makes a longer one. */
function clockWith(asleep: { readonly atPause: number; readonly ms: number }) {
  const clock = {
    elapsed: 0,
    pauses: 0,
    now: () => clock.elapsed,
    random: () => 0,
    sleep: async (ms: number, signal: AbortSignal) => {
      signal.throwIfAborted();
      clock.elapsed += ms + (++clock.pauses === asleep.atPause ? asleep.ms : 0);
    },
  };
  return clock;
}

const { signal } = new AbortController();

test('a pause ends on time, and at once when the machine has slept over its end', async () => {
  const awake = clockWith({ atPause: 0, ms: 0 });
  await sleepAwake(awake, 12_000, signal);
  assert.deepEqual([awake.elapsed, awake.pauses], [12_000, 3]);
  const asleep = clockWith({ atPause: 1, ms: 60_000 });
  await sleepAwake(asleep, 30_000, signal);
  assert.equal(asleep.pauses, 1);
});

test('a machine that is only busy has not slept', async () => {
  const busy = clockWith({ atPause: 2, ms: 15_000 });
  const slept = clockWith({ atPause: 4, ms: 60_000 });
  const clock = {
    ...busy,
    sleep: (ms: number, until: AbortSignal) => (busy.pauses < 3 ? busy : slept).sleep(ms, until),
  };
  clock.now = () => busy.elapsed + slept.elapsed;
  await wokenUp(clock, signal);
  assert.deepEqual([busy.pauses, slept.pauses], [3, 4]);
});

test('whoever does not wait any more gets the reason', async () => {
  const signal = AbortSignal.abort(new Error('The window closes'));
  await assert.rejects(wokenUp(clockWith({ atPause: 0, ms: 0 }), signal), /The window closes/);
});
