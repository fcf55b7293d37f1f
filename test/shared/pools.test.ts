import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { poolLabels, poolName } from '../../shared/pools.ts';

test('a pool is named after its labels, whatever their order', () => {
  assert.equal(poolName([]), 'default');
  assert.equal(poolName(['x64', 'linux']), 'linux_x64');
  assert.equal(poolName(['linux', 'x64', 'linux']), 'linux_x64');
  assert.equal(poolName(['os=linux', 'zone/a', 'big_one']), 'big__one_os_-linux_zone_.a');
});

test('the name of a pool says its labels, and no two have the same name', () => {
  const label = fc.oneof(fc.constant('default'), fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._/=-]{0,9}$/));
  fc.assert(
    fc.property(fc.array(label, { maxLength: 5 }), labels => {
      assert.deepEqual(poolLabels(poolName(labels)), [...new Set(labels)].sort());
    }),
  );
});
