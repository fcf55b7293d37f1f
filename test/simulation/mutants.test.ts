import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { after, describe, test } from 'node:test';
import { catchMutant, SEEDS_PER_MUTANT, withoutMistake } from './catch-mutant.ts';
import { MUTANTS } from './mutants.ts';
import { INVARIANTS } from './violation.ts';

describe('a simulation notices that', { concurrency: availableParallelism() }, () => {
  const seen = new Set<string>();
  let simulated = 0;
  for (const mutant of MUTANTS)
    test(mutant.name, async () => {
      const caught = await catchMutant(mutant);
      assert.ok(caught, `No promise was broken in ${SEEDS_PER_MUTANT} seeds: nothing tests this`);
      const { invariant } = caught;
      assert.ok(
        mutant.breaks.some(one => one === invariant),
        `It is noticed for the wrong reason: ${invariant}`,
      );
      assert.equal(await withoutMistake(mutant, caught.seed), undefined, 'It breaks without the mistake too');
      seen.add(invariant);
      simulated++;
    });

  // A promise that no mistake breaks may be one that nothing can break here. Of some mutants only, that says nothing.
  after(() => {
    if (simulated < MUTANTS.length) return;
    const untested = INVARIANTS.filter(invariant => invariant !== 'no bug' && !seen.has(invariant));
    assert.deepEqual(untested, [], 'No mistake is noticed by these promises');
  });
});
