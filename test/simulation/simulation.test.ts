import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outcome } from '../../shared/result.ts';
import { describeFailure } from './describe-failure.ts';
import { patchSources } from './patch-sources.ts';

patchSources();
// Only now, as what is patched must not be loaded before.
const { simulate } = await import('./world.ts');

const SEEDS = 200;

test(`no promise is broken in ${SEEDS} simulated clusters with all their faults, and every task ends`, async () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const outcome = await simulate(seed);
    if (outcome.violation) assert.fail(describeFailure(outcome));
    for (const ended of outcome.outcomes) seen.add(ended);
  }
  // Or it was all too easy. No task here is silent for too long, or could never have run.
  const wanted = Outcome.options.filter(word => word !== 'idle-timed-out' && word !== 'invalid');
  assert.deepEqual([...seen].sort(), [...wanted].sort());
});

test('the same seed gives the same history, to the last event', async () => {
  for (const seed of [7, 28, 170]) {
    const [one, other] = [await simulate(seed), await simulate(seed)];
    assert.deepEqual([other.hash, other.events], [one.hash, one.events]);
  }
});
