import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeShortened, describeSweep } from './describe-failure.ts';
import { patchSources } from './patch-sources.ts';
import { shorten } from './shorten.ts';
import { eachAct, eachPair, neverStruck, sweep } from './sweep.ts';
import type { Choice, Outcome } from './world.ts';

patchSources();
// Only now, as what is patched must not be loaded before.
const { simulate } = await import('./world.ts');
const { ACTS, parseActs } = await import('./nemesis.ts');

const EVERY_ACT = parseActs(Object.keys(ACTS).join());
const SEEDS = 2;

test(`no promise is broken where one kind of fault comes alone, again and again, each in ${SEEDS} clusters that it hurts`, async () => {
  const swept = await sweep(eachAct(EVERY_ACT, 1, SEEDS), simulate, async (outcome, { choice }) => {
    const called = { acts: choice.acts.join(), workload: choice.workload };
    assert.fail(describeShortened(await shorten(outcome, choice, simulate), called));
  });
  assert.deepEqual(neverStruck(swept), [], 'These faults never struck: nothing was tested by them');
});

test('two kinds of faults come together as often as there are pairs, in seeds that no other pair has', () => {
  const pairs = eachPair(EVERY_ACT, 1, 2);
  assert.equal(pairs.length, (EVERY_ACT.length * (EVERY_ACT.length - 1)) / 2);
  assert.equal(new Set(pairs.map(({ acts }) => [...acts].sort().join())).size, pairs.length);
  assert.deepEqual(
    pairs.map(({ firstSeed }) => firstSeed),
    pairs.map((_, at) => 1 + at * 2),
  );
});

test('a broken promise ends the trial that it was broken in and no other, and a fault that never struck is told', async () => {
  const acts = parseActs('power cut,a machine sleeps,etcd is full');
  const plain = await simulate(1);
  const asked: string[] = [];
  const failed: (readonly string[])[] = [];
  const pretend = async (seed: number, choice: Choice): Promise<Outcome> => {
    const [act] = choice.acts!;
    asked.push(`${act} ${seed}`);
    return {
      ...plain,
      strikes: new Map(act === 'etcd is full' ? [] : [[act!, 2]]),
      violation: act === 'power cut' ? { invariant: 'I1', text: 'It is completed twice', task: undefined } : undefined,
    };
  };

  const swept = await sweep(eachAct(acts, 11, 2), pretend, async (_, trial) => void failed.push(trial.acts));

  assert.deepEqual(asked, [
    'power cut 11',
    'a machine sleeps 13',
    'a machine sleeps 14',
    'etcd is full 15',
    'etcd is full 16',
  ]);
  assert.deepEqual(failed, [['power cut']]);
  assert.deepEqual(neverStruck(swept), ['etcd is full']);
  const told = describeSweep(swept);
  assert.match(told, /\| power cut +\| 1 +\| 2 +\| 1 +\|/);
  assert.match(told, /\| a machine sleeps +\| 2 +\| 4 +\| 0 +\|/);
  assert.match(told, /^It never struck, so nothing was tested by it: etcd is full$/m);
});
