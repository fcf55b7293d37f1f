import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressesToTrust, checkAddress } from '../../node-runtime/cli/node-address.ts';
import { parseListen } from '../../node-runtime/cli/run-node.ts';

test('a token goes over plain http to this machine only', () => {
  for (const url of ['http://127.0.0.1:7100', 'http://localhost:7100', 'http://[::1]:7100', 'https://ci.example.com'])
    checkAddress(url, false);
  for (const url of ['http://ci.example.com', 'http://10.0.0.1:7100', 'http://127.0.0.1.example.com'])
    assert.throws(() => checkAddress(url, false), { code: 'invalid', message: /unencrypted.*--insecure-http/ });
  checkAddress('http://10.0.0.1:7100', true);
});

test('what is no address of a node is refused', () => {
  for (const url of ['', 'ci.example.com', 'ftp://ci', 'https://me:secret@ci', 'https://ci/?a=b'])
    assert.throws(() => checkAddress(url, true), { code: 'invalid', message: /^Cannot use node address as / });
  const two = 'http://127.0.0.1:7100,http://127.0.0.1:7101';
  assert.throws(() => checkAddress(two, true), {
    code: 'invalid',
    message: /more than one: give each of them by --url/,
  });
});

test('of the addresses that nodes tell, the token goes to those where it may go', () => {
  const told = ['http://127.0.0.1:7101', 'http://10.0.0.2:7100', 'https://b.example.com', 'nonsense'];
  assert.deepEqual(addressesToTrust(told, ['https://a.example.com'], false), ['https://b.example.com']);
  assert.deepEqual(addressesToTrust(told, ['http://10.0.0.1:7100'], true), told.slice(1, 3));
  assert.deepEqual(addressesToTrust(told, ['http://127.0.0.1:7100'], false), [told[0], told[2]]);
});

test('a place to listen is a host and a port', () => {
  assert.deepEqual(parseListen('127.0.0.1:7100'), { host: '127.0.0.1', port: 7100 });
  assert.deepEqual(parseListen('[::1]:0'), { host: '::1', port: 0 });
  assert.deepEqual(parseListen('7100'), { host: '127.0.0.1', port: 7100 });
  assert.deepEqual(parseListen(':7100'), { host: '0.0.0.0', port: 7100 });
  for (const text of ['', 'localhost', 'localhost:70000', 'a:b:1', 'http://x:1'])
    assert.throws(() => parseListen(text), { code: 'invalid' });
});
