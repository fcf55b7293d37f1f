import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nextScaleStep, type ScaledNode, type ScaleView } from '../../node-runtime/kubernetes/next-scale-step.ts';

type State = 'busy' | 'idle' | 'asked' | 'retired' | 'leaving';

/** Nodes in these states, each younger than the one before. */
function nodes(...states: State[]): ScaledNode[] {
  return states.map((state, at) => ({
    node: `n${at}`,
    isIdle: state !== 'busy',
    isAsked: state === 'asked' || state === 'retired',
    isDraining: state === 'retired' || state === 'leaving',
    started: at,
  }));
}

function step(wanted: number, replicas: number, states: State[], changes: Partial<ScaleView> = {}) {
  return nextScaleStep({ wanted, recent: wanted, replicas, max: 10, nodes: nodes(...states), ...changes });
}

test('as many as are wanted stay as they are', () => {
  assert.deepEqual(step(2, 2, ['busy', 'idle']), { kind: 'nothing' });
});

test('more are made at once, whatever has not come up yet', () => {
  assert.deepEqual(step(5, 2, ['busy', 'busy']), { kind: 'replicas', replicas: 5 });
  assert.deepEqual(step(5, 3, ['busy']), { kind: 'replicas', replicas: 5 });
  assert.deepEqual(step(5, 5, ['busy']), { kind: 'nothing' });
});

test('fewer are made only when fewer have been enough for a while', () => {
  assert.deepEqual(step(1, 3, ['idle', 'idle', 'idle'], { recent: 3 }), { kind: 'nothing' });
  assert.deepEqual(step(1, 3, ['idle', 'idle', 'idle'], { recent: 2 }), { kind: 'retire', nodes: ['n2'] });
});

test('only those are asked to retire that have nothing to do, the youngest first', () => {
  assert.deepEqual(step(1, 4, ['idle', 'busy', 'idle', 'busy']), { kind: 'retire', nodes: ['n2', 'n0'] });
  assert.deepEqual(step(1, 2, ['busy', 'busy']), { kind: 'nothing' });
});

test('the Deployment is made smaller when a node has said that it claims nothing more, and not before', () => {
  assert.deepEqual(step(1, 2, ['busy', 'asked']), { kind: 'nothing' });
  assert.deepEqual(step(1, 2, ['busy', 'retired']), { kind: 'replicas', replicas: 1 });
});

test('while a pod is being deleted nothing more is taken away', () => {
  assert.deepEqual(step(1, 2, ['idle', 'idle', 'retired']), { kind: 'nothing' });
});

test('a node that was asked is kept when it is needed after all', () => {
  assert.deepEqual(step(2, 2, ['busy', 'asked']), { kind: 'keep', nodes: ['n1'] });
  assert.deepEqual(step(2, 2, ['busy', 'retired']), { kind: 'keep', nodes: ['n1'] });
});

test('a retired node that is being deleted is replaced, not kept', () => {
  assert.deepEqual(step(2, 1, ['busy', 'retired']), { kind: 'replicas', replicas: 2 });
});

test('pods that have not come up go before nodes that have', () => {
  assert.deepEqual(step(1, 4, ['idle', 'idle']), { kind: 'replicas', replicas: 2 });
});

test('a node that drains by itself is already replaced', () => {
  assert.deepEqual(step(2, 2, ['busy', 'leaving', 'idle']), { kind: 'nothing' });
});

test('the most is never passed', () => {
  assert.deepEqual(step(10, 10, ['busy', 'retired'], { max: 10 }), { kind: 'keep', nodes: ['n1'] });
  assert.deepEqual(step(4, 2, ['busy', 'busy', 'retired'], { max: 4 }), { kind: 'replicas', replicas: 4 });
});

test('a smaller Deployment never costs a node that has not said that it claims nothing more', () => {
  const state = fc.constantFrom<State>('busy', 'idle', 'asked', 'retired');
  fc.assert(
    fc.property(
      fc.array(state, { maxLength: 8 }),
      fc.nat(8),
      fc.nat(8),
      fc.nat(10),
      (states, wanted, recent, replicas) => {
        const made = step(wanted, replicas, states, { recent });
        if (made.kind !== 'replicas' || made.replicas >= replicas) return;
        const retired = states.filter(one => one === 'retired').length;
        const starting = Math.max(0, replicas - states.length);
        assert.ok(replicas - made.replicas <= (starting > 0 ? starting : retired));
        assert.ok(made.replicas >= Math.max(wanted, Math.min(replicas, recent)) || starting === 0);
      },
    ),
  );
});
