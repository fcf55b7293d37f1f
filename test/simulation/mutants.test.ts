import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, test } from 'node:test';
import { catchMutant, SEEDS_PER_MUTANT, withoutMistake } from './catch-mutant.ts';
import { MUTANTS } from './mutants.ts';

describe('a simulation notices that', { concurrency: availableParallelism() }, () => {
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
    });
});
