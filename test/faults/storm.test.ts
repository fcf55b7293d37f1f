import assert from 'node:assert/strict';
import { test } from 'node:test';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { neverStruck } from './chaos-figures.ts';
import { couldStore } from './check-run.ts';
import { type Nemesis, nothingToHeal, type Struck } from './nemesis.ts';
import type { Place } from './place.ts';
import type { Rig } from './rig.ts';
import { TRACKS } from './schedule.ts';
import { type Spell, Storm } from './storm.ts';
import type { Workload } from './workload.ts';

/** A storm of these faults, all at once, over a cluster in which every task is done at once. */
async function storm(
  ...faults: readonly (readonly [name: string, strike: (struck: Struck) => void])[]
): Promise<Storm> {
  const tape = { events: [{ key: 'c/completed/probe', kind: 'put', at: performance.now() }] };
  const rig = { cluster: 'c', tape, options: { log: () => undefined } } as unknown as Rig;
  const workload = { submit: async () => ({ id: 'probe' }) } as unknown as Workload;
  const planned = faults.map(([nemesis], at) => ({ at: 0, track: TRACKS[at]!, nemesis, lastsMs: 2000, pick: 0 }));
  const nemeses = faults.map(([name, strike], at): Nemesis => {
    const inject: Nemesis['inject'] = async (_rig, _pick, _signal, struck) => {
      strike(struck);
      return nothingToHeal;
    };
    return { name, track: TRACKS[at]!, lastsMs: [2000, 2000], inject };
  });
  const carriedOut = new Storm(rig, workload, nemeses);
  await carriedOut.run(planned, false, neverAborted);
  return carriedOut;
}

test('a fault that nobody came by is no fault: it excuses nothing, nobody recovers from it, and that is told', async () => {
  const { spells, missed, recoveries } = await storm(
    ['an ambush', () => undefined],
    ['a kill', struck => struck()],
    ['an ambush', () => undefined],
  );
  assert.deepEqual(
    spells.map(({ nemesis }) => nemesis),
    ['a kill'],
  );
  assert.deepEqual(
    recoveries.map(({ nemesis }) => nemesis),
    ['a kill'],
  );
  assert.deepEqual(missed, ['an ambush', 'an ambush']);
  assert.deepEqual(neverStruck({ spells, missed }), ['an ambush']);
});

test('a kind of fault that has struck once has tested something', () => {
  const spell: Spell = { nemesis: 'an ambush', track: 'nodes', from: 0, to: 1, storing: new Map() };
  assert.deepEqual(neverStruck({ spells: [spell], missed: ['an ambush'] }), []);
});

test('a fault is told with the places at which it kept nodes from storing, and since when', async () => {
  const place = (name: string) => ({ name }) as Place;
  const before = performance.now();
  const { spells } = await storm([
    'S3 hangs',
    struck => {
      struck(place('n1'), { isStoring: true });
      struck(place('n2'), { isStoring: false });
    },
  ]);
  const [first] = spells;
  assert.deepEqual([...first!.storing.keys()], ['n1']);
  assert.ok(first!.storing.get('n1')! >= before);
});

test('only what kept that very node from storing at that time excuses what its logs lack', () => {
  const spell = { nemesis: 'S3 hangs', track: 'objects', from: 10_000, to: 40_000 } as const;
  const could = couldStore([{ ...spell, storing: new Map([['n1', 20_000]]) }]);
  assert.equal(could('n1.3', 21_000, 30_000), false);
  assert.equal(could('n1.3', 12_000, 18_000), true, 'before a request of its was met');
  assert.equal(could('n1.3', 44_000, 50_000), false, 'while it catches up');
  assert.equal(could('n1.3', 46_000, 50_000), true, 'long after');
  assert.equal(could('n2.1', 21_000, 30_000), true, 'another node');
  assert.equal(could('n10.1', 21_000, 30_000), true, 'a place whose name begins so');
});
