import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NEMESES } from './nemeses.ts';
import { planFaults, TRACKS } from './schedule.ts';

const HOUR_MS = 3_600_000;

test('the same seed gives the same schedule, another one another', () => {
  assert.deepEqual(planFaults('s', HOUR_MS, NEMESES), planFaults('s', HOUR_MS, NEMESES));
  assert.notDeepEqual(planFaults('s', HOUR_MS, NEMESES), planFaults('t', HOUR_MS, NEMESES));
});

test('faults of one track never overlap, and all end in time', () => {
  const faults = planFaults('s', HOUR_MS, NEMESES);
  for (const track of TRACKS) {
    const own = faults.filter(fault => fault.track === track);
    for (const [at, { lastsMs, ...fault }] of own.entries())
      assert.ok(fault.at + lastsMs <= (own[at + 1]?.at ?? HOUR_MS), `${track} ${at}`);
  }
});

test('one by one, none overlaps with any other', () => {
  const faults = planFaults('s', HOUR_MS, NEMESES, { oneByOne: true });
  for (const [at, { lastsMs, ...fault }] of faults.entries())
    assert.ok(fault.at + lastsMs <= (faults[at + 1]?.at ?? HOUR_MS), fault.nemesis);
});

test('within an hour every nemesis has its turn', () => {
  const used = new Set(planFaults('s', HOUR_MS, NEMESES).map(({ nemesis }) => nemesis));
  assert.deepEqual(
    NEMESES.filter(({ name }) => !used.has(name)).map(({ name }) => name),
    [],
  );
});

test('no two nemeses share a name', () => {
  assert.equal(new Set(NEMESES.map(({ name }) => name)).size, NEMESES.length);
});
