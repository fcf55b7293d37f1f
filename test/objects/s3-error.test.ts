import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CutShort, isTransientFailure, NotOfS3, translateS3Failure } from '../../node-runtime/objects/s3-error.ts';
import { CiError, type ErrorCode } from '../../shared/errors.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');

const failures: readonly (readonly [Error, boolean, ErrorCode, string])[] = [
  [socket('ECONNREFUSED', 'connect ECONNREFUSED 10.0.0.1:80'), true, 'unavailable', 'could not be reached'],
  [socket('ENOTFOUND', 'getaddrinfo ENOTFOUND s3.exmaple.com'), true, 'unavailable', 'could not be reached'],
  [socket('ECONNRESET', 'socket hang up'), true, 'unavailable', 'could not be reached (socket hang up)'],
  [new CutShort('5 bytes did not come'), true, 'unavailable', 'failed (CutShort: 5 bytes did not come)'],
  [answer(500, 'InternalError'), true, 'unavailable', 'failed (status 500 InternalError: no)'],
  [answer(503, 'SlowDown'), true, 'unavailable', 'failed (status 503 SlowDown: no)'],
  [answer(400, 'IncompleteBody'), true, 'unavailable', 'failed (status 400 IncompleteBody: no)'],
  [new NotOfS3('it does not say what was stored'), true, 'unavailable', 'what answers is not the object store, as it'],
  [unread(502), true, 'unavailable', 'failed (status 502 what it said is not of S3)'],
  [answer(501, 'NotImplemented'), false, 'unavailable', 'failed (status 501 NotImplemented: no)'],
  [answer(507, 'InsufficientStorage'), true, 'unavailable', 'failed (status 507 InsufficientStorage: no)'],
  [answer(400, 'EntityTooLarge'), false, 'too-large', 'takes no object of this size'],
  [answer(403, 'ExpiredToken'), false, 'unauthenticated', 'the credentials were refused (ExpiredToken: no)'],
  [answer(400, 'AuthorizationHeaderMalformed'), false, 'unauthenticated', 'the credentials were refused'],
  [answer(403, 'AccessDenied'), false, 'forbidden', 'these credentials may not do that (AccessDenied: no)'],
  [answer(404, 'NoSuchBucket'), false, 'not-found', 'there is no such bucket'],
  [socket('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate'), false, 'unavailable', 'NODE_EXTRA_CA_CERTS'],
  [socket('CERT_HAS_EXPIRED', 'certificate has expired'), false, 'unavailable', 'its certificate is not trusted'],
  [socket('ERR_TLS_CERT_ALTNAME_INVALID', 'x'), false, 'unavailable', 'its certificate is not trusted'],
];

for (const [failure, isTransient, code, reason] of failures) {
  test(`${nameOf(failure)} is ${isTransient ? 'tried again' : 'final'}, and becomes ${code}: ${reason}`, () => {
    assert.equal(isTransientFailure(failure), isTransient);
    const error = translateS3Failure('put object "a"', 'bucket "b" at http://h', NOW, failure);
    assert.ok(error instanceof CiError);
    assert.equal(error.code, code);
    assert.match(error.message, /^Cannot put object "a" as .*: bucket "b" at http:\/\/h$/);
    assert.ok(error.message.includes(reason), error.message);
    assert.equal(error.cause, failure);
  });
}

test('a clock that is behind is told apart from one that is ahead', () => {
  const skewed = (date: string) =>
    translateS3Failure(
      'put',
      'h',
      NOW,
      Object.assign(answer(403, 'RequestTimeTooSkewed'), { $response: { headers: { date } } }),
    );
  assert.match(String(skewed('Tue, 24 Nov 2026 11:40:00 GMT')), /clock is 1200 s ahead of the object store's/);
  assert.match(String(skewed('Tue, 24 Nov 2026 12:40:00 GMT')), /clock is 2400 s behind the object store's/);
  assert.match(String(skewed('')), /clock differs too much/);
});

test('bugs are not taken for failures of the store', () => {
  for (const bug of [new TypeError('x is not a function'), new CiError('conflict', 'mine'), 'thrown text', undefined]) {
    assert.equal(translateS3Failure('put', 'h', NOW, bug), bug);
    assert.equal(isTransientFailure(bug), false);
  }
});

function nameOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.name;
}

function socket(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

function answer(httpStatusCode: number, code: string): Error {
  return Object.assign(new Error('no'), { name: code, Code: code, code, $metadata: { httpStatusCode } });
}

/** An answer that the SDK could not parse. */
function unread(httpStatusCode: number): Error {
  const message = 'XML parse error.\n  Deserialization error: to see the raw response, inspect the hidden field';
  return Object.assign(new Error(message), { $metadata: { httpStatusCode } });
}
