import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figure } from '../bench/figures.ts';
import { type ChaosResult, together } from './together.ts';

function result(lost: number, waitSeconds: number, recoverySeconds: number, isAlone = true): ChaosResult {
  return {
    ...{ bench: 'chaos', command: 'npm run chaos', node: 'v0' },
    figures: [
      figure('tasks lost', lost, 'tasks', { aim: { of: 'value', atMost: 0 } }),
      figure('requeue, p99', waitSeconds, 's', { aim: { of: 'value', atMost: 33 } }),
    ],
    faults: [{ nemesis: 'kill -9 of a node', times: 2, recoverySeconds, isAlone }],
  };
}

test('of several runs, counts are added up, the longest times are taken, and an aim is met if each has met it', () => {
  const { figures, faults } = together([result(0, 30, 1), result(1, 31, 3)]);
  assert.deepEqual(
    figures.map(({ name, value, met }) => [name, value, met]),
    [
      ['tasks lost', 1, false],
      ['requeue, p99', 31, true],
    ],
  );
  assert.deepEqual(faults, [{ nemesis: 'kill -9 of a node', times: 4, recoverySeconds: 3, isAlone: true }]);
});

test('what a fault cost alone counts for more than what it cost amid others', () => {
  const { faults } = together([result(0, 0, 1, true), result(0, 0, 50, false)]);
  assert.deepEqual(faults, [{ nemesis: 'kill -9 of a node', times: 4, recoverySeconds: 1, isAlone: true }]);
});
