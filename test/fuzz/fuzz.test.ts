import assert from 'node:assert/strict';
import { test } from 'node:test';
import { followBranches } from './branches.ts';
import { describeFailure } from './fuzz-target.ts';

followBranches();
const { TARGETS } = await import('./targets.ts');

// A modest number of inputs, the same each time: what is new is looked for by `npm run fuzz`.
const SEED = 1;

for (const target of TARGETS)
  test(target.name, async () => {
    await using fuzzing = await target.start();
    const { failure } = await fuzzing.check({ inputs: target.runs, seed: SEED });
    assert.ok(!failure, failure && describeFailure(target, failure, SEED));
  });
