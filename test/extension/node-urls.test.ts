import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkNodeUrl, failoverUrls } from '../../extension/node-urls.ts';

const good: [string, string][] = [
  ['https://ci.example.com/', 'https://ci.example.com'],
  [' https://ci.example.com:8443/ci/ ', 'https://ci.example.com:8443/ci'],
  ['http://127.0.0.1:7100', 'http://127.0.0.1:7100'],
  ['http://localhost:7100', 'http://localhost:7100'],
  ['http://[::1]:7100', 'http://[::1]:7100'],
];
for (const [given, kept] of good)
  test(`the address ${given.trim()} is taken`, () => assert.equal(checkNodeUrl(given), kept));

const bad: [string, RegExp][] = [
  ['http://ci.example.com', /over plain http to this machine only/],
  ['http://127.0.0.1.example.com', /over plain http to this machine only/],
  ['ci.example.com', /not like https/],
  ['ftp://ci', /not like https/],
  ['https://me:secret@ci', /holds a password/],
  ['https://ci/?token=x', /after its path/],
];
for (const [given, why] of bad)
  test(`the address ${given} is refused`, () => assert.throws(() => checkNodeUrl(given), why));

test('nodes that tell addresses which a token may go to are tried after those that were given', () => {
  assert.deepEqual(
    failoverUrls(['https://ci'], ['https://n1:7100', 'http://10.0.0.5:7100', 'https://ci', 'nonsense']),
    ['https://ci', 'https://n1:7100'],
  );
});

test('a cluster elsewhere cannot send the token to a program of this machine', () => {
  assert.deepEqual(failoverUrls(['https://ci'], ['http://127.0.0.1:9999', 'https://localhost:1']), ['https://ci']);
});

test('nodes of this machine know each other', () => {
  const told = ['http://127.0.0.1:7101', 'https://ci'];
  assert.deepEqual(failoverUrls(['http://127.0.0.1:7100'], told), ['http://127.0.0.1:7100', 'http://127.0.0.1:7101']);
});
