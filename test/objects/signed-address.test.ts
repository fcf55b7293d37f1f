import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Grant, signAddress, verifyAddress } from '../../node-runtime/objects/signed-address.ts';
import { systemClock } from '../../node-runtime/system/clock.ts';
import { isCiError } from '../../shared/errors.ts';

const signer = { secret: Buffer.alloc(32, 7), baseUrl: () => 'http://127.0.0.1:8080' };
const clock = { ...systemClock, now: () => 1_000_000_000 };
const grant: Grant = { method: 'GET', key: 'a b/ü+&?#%2F/c', expires: 1_000_060, downloadName: 'x "y".txt' };

test('a signed address says what was granted', () => {
  const address = signAddress(signer, grant);
  assert.match(
    address,
    /^http:\/\/127\.0\.0\.1:8080\/v1\/objects\/a%20b\/%C3%BC%2B%26%3F%23%252F\/c\?expires=1000060&/,
  );
  assert.deepEqual(verifyAddress(signer, clock, 'GET', address), grant);
});

test('a signed address is understood by its path alone, as servers see it', () => {
  const { pathname, search } = new URL(signAddress(signer, grant));
  assert.equal(verifyAddress(signer, clock, 'GET', pathname + search).key, grant.key);
});

test('a signed address that was changed in any way is refused', () => {
  const address = signAddress(signer, grant);
  const changed = [
    ['PUT', address],
    ['DELETE', address],
    ['GET', address.replace('/c?', '/d?')],
    ['GET', address.replace('expires=1000060', 'expires=1000061')],
    ['GET', address.replace('name=x', 'name=y')],
    ['GET', address.replace(/&name=[^&]*/, '')],
    ['GET', `${address}&type=text/html`],
    ['GET', address.replace(/signature=./, 'signature=_')],
    ['GET', address.replace(/&signature=.*/, '')],
    ['GET', address.slice(0, -1)],
    ['GET', address.replace('/v1/objects/', '/v1/object/')],
    ['GET', address.replace('%C3%BC', '%ZZ')],
    ['GET', '/v1/objects/?expires=1&signature=00'],
    ['GET', 'http://[broken'],
    ['GET', '/v1/objects/../tasks'],
  ] as const;
  for (const [method, url] of changed)
    assert.throws(
      () => verifyAddress(signer, clock, method, url),
      error => isCiError(error, 'forbidden'),
      url,
    );
});

test('a signed address is refused by whoever has another secret', () => {
  const other = { ...signer, secret: Buffer.alloc(32, 8) };
  assert.throws(() => verifyAddress(other, clock, 'GET', signAddress(signer, grant)), /signature does not match/);
});

test('a signed address is refused from the second on in which it expires', () => {
  const at = (now: number) => verifyAddress(signer, { ...clock, now: () => now }, 'GET', signAddress(signer, grant));
  assert.equal(at(1_000_059_999).key, grant.key);
  assert.throws(() => at(1_000_061_000), /it expired 1 s ago/);
  assert.throws(() => verifyAddress(signer, clock, 'GET', signAddress(signer, { ...grant, expires: Number.NaN })));
});
