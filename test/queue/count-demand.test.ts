import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countDemand, type DemandTask } from '../../node-runtime/queue/count-demand.ts';

function node(name: string, labels: string[] = [], changes: { slots?: number; draining?: boolean } = {}) {
  return { node: name, instance: `${name}-instance`, labels, slots: 4, draining: false, ...changes };
}

function waiting(labels: string[] = [], slots = 1): DemandTask {
  return { labels, slots };
}

function running(on: string, slots = 1, instance = `${on}-instance`): DemandTask {
  return { labels: [], slots, holder: { node: on, instance } };
}

function demand(tasks: DemandTask[], nodes: ReturnType<typeof node>[], known: string[] = []) {
  return Object.fromEntries(countDemand(tasks, nodes, known));
}

test('what waits and what runs is counted in slots', () => {
  assert.deepEqual(demand([waiting(), waiting([], 3), running('a', 2)], [node('a')]), { default: 6 });
});

test('a pool that nothing is asked of is 0, not absent', () => {
  assert.deepEqual(demand([], [node('a', ['x64'])], ['default']), { default: 0, x64: 0 });
});

test('a task on a node that drains asks for nothing: it ends there', () => {
  const nodes = [node('a', [], { draining: true }), node('b')];
  assert.deepEqual(demand([running('a'), running('b')], nodes), { default: 1 });
});

test('a task whose holder is gone, or has started anew, waits', () => {
  assert.deepEqual(demand([running('gone'), running('a', 2, 'earlier')], [node('a')]), { default: 3 });
});

test('what runs counts where it runs', () => {
  assert.deepEqual(demand([running('g')], [node('a'), node('g', ['gpu'])]), { default: 0, gpu: 1 });
});

test('a waiting task counts once, for the pool with the fewest labels that could run it', () => {
  const nodes = [node('a'), node('x', ['x64']), node('y', ['linux', 'x64'])];
  const tasks = [waiting(), waiting(['x64']), waiting(['linux'])];
  assert.deepEqual(demand(tasks, nodes), { default: 1, x64: 1, linux_x64: 1 });
});

test('a task that no pool could run makes none grow', () => {
  assert.deepEqual(demand([waiting(['gpu']), waiting([], 5)], [node('a')]), { default: 0 });
});

test('a pool that was scaled to nothing is woken by what it could run', () => {
  assert.deepEqual(demand([waiting(['gpu'])], [node('a')], ['default', 'gpu']), { default: 0, gpu: 1 });
  assert.deepEqual(demand([waiting()], [node('g', ['gpu'])], ['default', 'gpu']), { default: 1, gpu: 1 });
});

test('a pool without nodes does not grow for what another one with fewer labels could run', () => {
  assert.deepEqual(demand([waiting()], [node('a')], ['default', 'gpu']), { default: 1, gpu: 0 });
});

test('a node without slots is no place to run', () => {
  assert.deepEqual(demand([waiting()], [node('a', [], { slots: 0 })]), {});
});
