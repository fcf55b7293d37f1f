import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLabelSelector } from '../../node-runtime/kubernetes/label-selector.ts';

const labels = { cluster: 'acme.ci', pool: 'linux_x64' };

for (const [selector, expected] of [
  ['', true],
  ['pool=linux_x64', true],
  ['pool==linux_x64', true],
  ['pool=gpu', false],
  ['pool!=gpu', true],
  ['pool!=linux_x64', false],
  ['zone!=a', true],
  ['pool in (gpu,linux_x64)', true],
  ['pool in (gpu, arm64)', false],
  ['pool notin (gpu,arm64)', true],
  ['zone notin (a)', true],
  ['zone in (a)', false],
  ['pool', true],
  ['zone', false],
  ['!zone', true],
  ['!pool', false],
  ['cluster=acme.ci,pool in (linux_x64,gpu),!zone', true],
  ['cluster=acme.ci,pool notin (linux_x64,gpu)', false],
  ['simple-ci.dev/pool=a', false],
  ['pool=', false],
  ['toString', false],
] as const)
  test(`${JSON.stringify(selector)} ${expected ? 'selects' : 'does not select'} ${JSON.stringify(labels)}`, () => {
    assert.equal(parseLabelSelector(selector)(labels), expected);
  });

for (const selector of ['pool=a b', 'a,,b', 'pool in gpu', 'pool in (a', '=a', 'pool>3', 'pool in (a(b)', '-a=b'])
  test(`${JSON.stringify(selector)} is refused`, () => {
    assert.throws(() => parseLabelSelector(selector), { code: 'invalid', message: /^Cannot read the label selector/ });
  });
