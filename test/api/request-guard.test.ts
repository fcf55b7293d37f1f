import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGuard } from '../../node-runtime/api/request-guard.ts';

test('a host name is the same in capitals and with a port, wherever the node was told of it', () => {
  const guard = createGuard({
    listenHost: 'Build-1',
    advertise: 'https://Build-1.Internal:7100',
    hosts: ['CI.Example.com', 'lb.example.com:8443'],
  });
  for (const host of ['build-1:7100', 'build-1.internal', 'ci.example.com', 'CI.EXAMPLE.COM:443', 'lb.example.com'])
    assert.doesNotThrow(() => guard({ host }), host);
  assert.throws(() => guard({ host: 'evil.example.com' }), { code: 'forbidden' });
});
