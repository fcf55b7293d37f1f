import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeFailure } from './fuzz-target.ts';
import { TARGETS } from './targets.ts';

// A modest number of inputs, others each time. More of them: `npm run fuzz`.
for (const target of TARGETS)
  test(target.name, async () => {
    await using fuzzing = await target.start();
    const details = await fuzzing.check({ numRuns: target.runs });
    assert.ok(!details.failed, details.failed ? describeFailure(target, details) : '');
  });
