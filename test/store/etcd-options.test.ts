import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCiError } from '../../shared/errors.ts';
import { type EtcdCredentials, parseEtcdOptions } from '../../node-runtime/store/etcd-options.ts';

const endpoints = (text: string, credentials?: EtcdCredentials) => parseEtcdOptions(text, credentials).endpoints;

test('etcd addresses take scheme and port by default', () => {
  assert.deepEqual(endpoints('localhost'), ['http://localhost:2379']);
  assert.deepEqual(endpoints('10.0.0.1:4001, 10.0.0.2'), ['http://10.0.0.1:4001', 'http://10.0.0.2:2379']);
});

test('the scheme of the first etcd address is that of those without one', () => {
  assert.deepEqual(endpoints('https://a:2379,b:2380'), ['https://a:2379', 'https://b:2380']);
});

test('a port that is the scheme’s own is kept', () => {
  assert.deepEqual(endpoints('https://a:443'), ['https://a:443']);
  assert.deepEqual(endpoints('http://a:80/'), ['http://a:80']);
});

test('IPv6 addresses stand in brackets', () => {
  assert.deepEqual(endpoints('http://[::1],[fd00::2]:99'), ['http://[::1]:2379', 'http://[fd00::2]:99']);
});

test('the same address twice is one', () => {
  assert.deepEqual(endpoints('a,http://a:2379'), ['http://a:2379']);
});

test('a user and password may stand in the address, and others given on their own go before them', () => {
  assert.deepEqual(parseEtcdOptions('http://me:p%40ss@a,b').auth, { user: 'me', password: 'p@ss' });
  assert.deepEqual(parseEtcdOptions('http://me:old@a', { password: 'new' }).auth, { user: 'me', password: 'new' });
  assert.deepEqual(endpoints('http://me:p%40ss@a'), ['http://a:2379']);
});

test('certificate files are passed on', () => {
  const { tls } = parseEtcdOptions('https://a', { ca: '/ca', cert: '/cert', key: '/key' });
  assert.deepEqual(tls, { ca: '/ca', cert: '/cert', key: '/key' });
  assert.deepEqual(parseEtcdOptions('https://a', { ca: '/ca' }).tls, { ca: '/ca' });
});

const NONSENSE: readonly (readonly [string, EtcdCredentials, RegExp])[] = [
  ['', {}, /an address is empty/],
  ['a,,b', {}, /an address is empty: a,,b/],
  ['ftp://a', {}, /neither http nor https: ftp:\/\/a/],
  ['https://a,http://b', {}, /http and https are mixed/],
  ['http://a/path', {}, /only a host and a port/],
  ['http://a?x=1', {}, /only a host and a port/],
  ['a:99999', {}, /not like https:\/\/host:2379: a:99999/],
  ['a b', {}, /not like https:\/\/host:2379: a b/],
  ['http://a', { ca: '/ca' }, /not https/],
  ['https://a', { cert: '/cert' }, /both its file and its key: \/cert/],
  ['a', { user: 'me' }, /no password: me/],
  ['a', { password: 'x' }, /no user/],
];

for (const [text, credentials, reason] of NONSENSE) {
  test(`etcd address ${JSON.stringify(text)} with ${JSON.stringify(credentials)} is refused`, () => {
    assert.throws(
      () => parseEtcdOptions(text, credentials),
      error => isCiError(error, 'invalid') && reason.test(error.message),
    );
  });
}

test('a refusal does not repeat a password', () => {
  assert.throws(
    () => parseEtcdOptions('http://me:hidden@a/path'),
    error => isCiError(error) && !error.message.includes('hidden'),
  );
});
