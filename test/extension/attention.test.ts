import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attention, TICK_MS } from '../../extension/attention.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

function attention(prepare: () => Promise<void> = async () => undefined) {
  const clock = new FakeClock();
  const now = { isSeen: false, isAwaited: false, wants: 0, drawn: 0 };
  const watched = new Attention({
    clock: Object.assign(clock, { random: () => 0 }),
    isSeen: () => now.isSeen,
    isAwaited: () => now.isAwaited,
    prepare,
    want: () => {
      now.wants++;
      return { [Symbol.dispose]: () => void now.wants-- };
    },
    draw: () => now.drawn++,
  });
  const see = (isSeen: boolean) => {
    now.isSeen = isSeen;
    return watched.changed();
  };
  /** Nothing is connected, no timer is set, and nothing is drawn however much time passes. */
  const assertIdle = async () => {
    const { drawn } = now;
    await clock.advance(10 * TICK_MS);
    assert.deepEqual([now.wants, clock.sleeping, now.drawn - drawn], [0, 0, 0]);
  };
  return { watched, clock, now, see, assertIdle };
}

test('trees that are hidden do nothing: no connection, no timers, no drawing', async () => {
  const { clock, now, see, assertIdle } = attention();
  await assertIdle();
  await see(true);
  assert.deepEqual([now.wants, clock.sleeping, now.drawn], [1, 1, 1]);
  await clock.advance(3 * TICK_MS);
  assert.equal(now.drawn, 4);
  await see(false);
  await assertIdle();
});

test('a tree that is hidden while its cluster is still being found does nothing after that', async () => {
  const found = Promise.withResolvers<void>();
  const { see, assertIdle } = attention(() => found.promise);
  const shown = see(true);
  await see(false);
  found.resolve();
  await shown;
  await assertIdle();
});

test('a second tree beside the first one sets no second timer', async () => {
  const { clock, now, see } = attention();
  await Promise.all([see(true), see(true)]);
  assert.deepEqual([now.wants, clock.sleeping], [1, 1]);
});

test('while the user waits for a task the cluster is heard though nobody looks, and not longer', async () => {
  const { watched, now, see, assertIdle } = attention();
  await see(true);
  now.isAwaited = true;
  await see(false);
  assert.equal(now.wants, 1);
  now.isAwaited = false;
  watched.heard();
  await assertIdle();
});

test('a window that closes leaves nothing behind, whatever was on its way', async () => {
  const found = Promise.withResolvers<void>();
  const { watched, see, assertIdle } = attention(() => found.promise);
  const shown = see(true);
  watched[Symbol.dispose]();
  found.resolve();
  await shown;
  await settle();
  await assertIdle();
});
