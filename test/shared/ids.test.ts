import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isCiError } from '../../shared/errors.ts';
import {
  newTaskId,
  parseClusterId,
  parseNodeId,
  parseTaskId,
  quote,
  RESERVED_SEGMENTS,
  taskIdTime,
} from '../../shared/ids.ts';
import { keyspace, parseTasksKey } from '../../shared/keyspace.ts';

test('ids made later sort later, and urgent ones before all others', () => {
  const ids = [
    newTaskId(0, 9_000, Math.random),
    newTaskId(5, 1_000, Math.random),
    newTaskId(5, 2_000, Math.random),
    newTaskId(9, 1, Math.random),
  ];
  assert.deepEqual([...ids].sort(), ids);
});

test('what a message quotes can be seen: nothing in it steers a terminal or turns text around', () => {
  assert.equal(quote('a\u009b31m\u007f\n'), String.raw`"a\u009b31m\u007f\n"`);
  assert.equal(quote('main\u202egpj.exe\u2028'), String.raw`"main\u202egpj.exe\u2028"`);
  assert.equal(quote('Ünïcödé 漢字'), '"Ünïcödé 漢字"');
});

test('an id tells when it was made', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 45 }), now => taskIdTime(newTaskId(5, now, Math.random)) === now),
  );
});

test('whatever text stands for a task id is refused or makes keys of its own task only', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-z./]{20,34}$/)), text => {
      const keys = keyspace(parseClusterId('acme/ci'));
      try {
        const id = parseTaskId(text);
        assert.deepEqual(parseTasksKey(keys, keys.task(id)), { kind: 'task', id });
        assert.deepEqual(parseTasksKey(keys, keys.lock(id)), { kind: 'lock', id });
      } catch (error) {
        assert.ok(isCiError(error, 'invalid'));
      }
    }),
  );
});

for (const text of [
  '501m85r5d4zgg0dqxsy5mazts3y.lock',
  '../501m85r5d4zgg0dqxsy5mazts3y',
  '',
  'x'.repeat(27),
  '501M85R5D4ZGG0DQXSY5MAZTS3Y',
  '5'.repeat(33),
]) {
  test(`${JSON.stringify(text)} is no task id`, () => assert.throws(() => parseTaskId(text), /Cannot use task id/));
}

for (const text of ['acme', 'acme/ci', 'a-b_c/1', 'a'.repeat(63)]) {
  test(`${JSON.stringify(text)} is a cluster id`, () => assert.equal(parseClusterId(text), text));
}

for (const text of [
  '',
  '/',
  'acme/',
  '/acme',
  'acme//ci',
  'Acme',
  'acme.ci',
  '../x',
  'a b',
  'ä',
  '-a',
  'a'.repeat(64),
  `a/${'b/'.repeat(120)}c`,
]) {
  test(`${JSON.stringify(text).slice(0, 40)} is no cluster id, and why is said`, () =>
    assert.throws(() => parseClusterId(text), /Cannot use cluster id as .+: "/));
}

test('no part of a cluster id may be a folder of the keyspace: a cluster within another could be mistaken for its tasks', () => {
  for (const word of RESERVED_SEGMENTS) assert.throws(() => parseClusterId(`acme/${word}`), /reserved word/);
});

for (const text of ['host-1', '10.0.0.7', '[::1]:7100', 'ci-3.example.org', 'A']) {
  test(`${JSON.stringify(text)} is a node id`, () => assert.equal(parseNodeId(text), text));
}

for (const text of ['', 'a/b', 'a b', 'a\nb', '-x', 'x'.repeat(254)]) {
  test(`${JSON.stringify(text).slice(0, 20)} is no node id`, () =>
    assert.throws(() => parseNodeId(text), /Cannot use node id/));
}
