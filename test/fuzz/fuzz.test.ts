import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeFailure } from './fuzz-target.ts';
import { TARGETS } from './targets.ts';

// A modest number of inputs, the same each time: what is new is looked for by `npm run fuzz`.
const SEED = 1;

for (const target of TARGETS)
  test(target.name, async () => {
    await using fuzzing = await target.start();
    const details = await fuzzing.check({ numRuns: target.runs, seed: SEED });
    assert.ok(!details.failed, details.failed ? describeFailure(target, details) : '');
  });
