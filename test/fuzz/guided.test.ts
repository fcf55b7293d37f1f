import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Draw } from '../faults/draw.ts';
import { followBranches } from './branches.ts';
import { countBranches } from './count-branches.ts';
import type { Property } from './fuzz-target.ts';
import { fuzzGuided } from './guided.ts';

followBranches();
const { readMarked } = await import('./planted-mistake.ts');

const SEEDS = [3, 6, 7];
const INPUTS = 100_000;
const property = fc.property(fc.uint8Array({ maxLength: 40 }), bytes => void readMarked(bytes)) as Property;

test('a mistake behind five branches is found by looking at which branches are reached', async () => {
  for (const seed of SEEDS) {
    const { failure } = await fuzzGuided(property, { seed, inputs: INPUTS });
    assert.match(String(failure?.error), /This is the mistake/, `seed ${seed}`);
  }
});

test('the same mutations do not find it if they start from inputs that were kept by lot', async () => {
  for (const seed of SEEDS) {
    const lot = new Draw(`lot ${seed}`);
    const { inputs, failure } = await fuzzGuided(property, { seed, inputs: INPUTS }, () => lot.number() < 0.05);
    assert.deepEqual({ inputs, failure }, { inputs: INPUTS, failure: undefined }, `seed ${seed}`);
  }
});

test('a failure is made small, and its path makes it again', async () => {
  const { failure } = await fuzzGuided(property, { seed: 7, inputs: INPUTS });
  assert.match(String(failure?.input), /^213,27,112,146,\d+$/);
  const again = await fuzzGuided(property, { seed: 7, path: failure!.path });
  assert.deepEqual(again.failure?.input, failure!.input);
  assert.match(String(again.failure?.error), /This is the mistake/);
});

test('the same seed tries the same inputs', async () => {
  const inputsOf = async (seed: number) => {
    const inputs: string[] = [];
    const noted = fc.property(fc.uint8Array(), bytes => void inputs.push(`${bytes}: ${readMarked(bytes)}`));
    await fuzzGuided(noted as Property, { seed, inputs: 500 });
    return inputs;
  };
  const first = await inputsOf(1);
  assert.deepEqual(await inputsOf(1), first);
  assert.notDeepEqual(await inputsOf(2), first);
});

test('counting branches changes nothing that a program does, nor its lines', async () => {
  const source = [
    'function f(a, b) {',
    "  'use strict'",
    '  const g = (c = a || 7) => c; b ??= g();',
    '  if (a) if (b > 7) return 1',
    '  else return this === undefined ? 2 : 3',
    '  for (const one of [a]) if (one === 0) break; else continue',
    '  switch (b) { case 7: case 8: b++; default: b++ }',
    '  const both = () => ({ a, b }), none = x => x?.y ?? (b && both)',
    '  try { none(null)().c.d } catch { b += a ? 1 : a === 0 ? 10 : 100 }',
    '  do b--; while (b > 50)',
    '  return [a, b, typeof both]',
    '}',
    'result = [f(0), f(1), f(1, 9), f(undefined, 3), f(0, 200), f(null, 8)]',
  ].join('\n');
  const entered = new Uint8Array(99);
  const { text, branches, words } = countBranches('f.js', source, at => `entered[${at}]++`);
  const resultOf = (program: string) => new Function('entered', `let result; ${program}; return result`)(entered);
  assert.deepEqual(resultOf(text), resultOf(source));
  assert.equal(text.split('\n').length, source.split('\n').length);
  assert.ok(branches > 15 && entered.subarray(0, branches).filter(count => count > 0).length > 12);
  assert.deepEqual(words.toSorted(), [0, 1, 10, 100, 2, 200, 3, 50, 7, 8, 9, 'a', 'b', 'use strict'].toSorted());
});
