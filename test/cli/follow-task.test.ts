import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sparingly } from '../../node-runtime/cli/follow-task.ts';
import { FakeClock } from '../support/fake-clock.ts';

test('lines that stay say a reason once, and its numbers again after half a minute', async () => {
  const clock = new FakeClock();
  const said: string[] = [];
  const say = sparingly(clock, ({ text }) => said.push(text));
  const wait = (count: number, isLost = false) =>
    say(
      isLost
        ? { reason: 'no-node', text: 'no node' }
        : { reason: count > 0 ? 'behind' : 'next', text: `${count} ahead` },
    );
  for (let ahead = 97; ahead > 50; ahead--) wait(ahead);
  await clock.advance(29_999);
  wait(50);
  await clock.advance(1);
  wait(49);
  wait(0);
  wait(0, true);
  assert.deepEqual(said, ['97 ahead', '49 ahead', '0 ahead', 'no node']);
});
