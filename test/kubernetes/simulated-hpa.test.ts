import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedHpa } from '../support/simulated-hpa.ts';

const options = { min: 1, max: 20, averageValue: 2 };

test('the simulated autoscaler follows the sum of all values, in pods of the target', () => {
  assert.equal(new SimulatedHpa(options).sync(0, 2, [3, 4]), 4);
});

test('within a tenth it leaves things as they are: 21 slots asked of 20 slots', () => {
  assert.equal(new SimulatedHpa(options).sync(0, 10, [21]), 10);
  assert.equal(new SimulatedHpa(options).sync(0, 10, [23]), 12);
});

test('it doubles at most, or adds four, in 15 s', () => {
  const hpa = new SimulatedHpa(options);
  assert.equal(hpa.sync(0, 1, [40]), 5);
  assert.equal(hpa.sync(1000, 5, [40]), 5);
  assert.equal(hpa.sync(15_000, 5, [40]), 10);
  assert.equal(hpa.sync(30_000, 10, [60]), 20);
});

test('it does with fewer only when fewer have been enough for 5 min', () => {
  const hpa = new SimulatedHpa(options);
  assert.equal(hpa.sync(0, 5, [10]), 5);
  assert.equal(hpa.sync(60_000, 5, [0]), 5);
  assert.equal(hpa.sync(299_000, 5, [4]), 5);
  assert.equal(hpa.sync(300_000, 5, [4]), 2);
});

test('a metric that cannot be had, and one without values, leave things as they are', () => {
  const hpa = new SimulatedHpa(options);
  assert.equal(hpa.sync(0, 7, undefined), 7);
  assert.equal(hpa.sync(400_000, 7, []), 7);
});
