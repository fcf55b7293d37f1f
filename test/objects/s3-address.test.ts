import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeS3Address, parseS3Address } from '../../node-runtime/objects/s3-address.ts';
import { isCiError } from '../../shared/errors.ts';

test('an S3 address needs no more than a bucket', () => {
  assert.deepEqual(parseS3Address('s3://acme-ci'), {
    bucket: 'acme-ci',
    prefix: '',
    region: 'us-east-1',
    pathStyle: false,
  });
});

test('an S3 address may have a prefix, an endpoint and a region', () => {
  const address = parseS3Address('s3://acme/team/one%20two/?endpoint=http://minio:9000/&region=eu-west-1');
  assert.deepEqual(address, {
    bucket: 'acme',
    prefix: 'team/one two/',
    endpoint: 'http://minio:9000',
    region: 'eu-west-1',
    pathStyle: true,
  });
});

test('the bucket can be told to be in the host name, or in the path', () => {
  assert.equal(parseS3Address('s3://ci-1?endpoint=https://s3.example.com&pathStyle=false').pathStyle, false);
  assert.equal(parseS3Address('s3://ci-1?pathStyle=true').pathStyle, true);
});

test('an S3 address is described by what people look for', () => {
  assert.equal(describeS3Address(parseS3Address('s3://ci-1?region=eu-west-1')), 'bucket "ci-1" at AWS eu-west-1');
  assert.equal(describeS3Address(parseS3Address('s3://ci-1/p?endpoint=http://h:1')), 'bucket "ci-1" at http://h:1');
});

for (const [text, reason] of [
  ['', /not of the form s3:\/\/BUCKET/],
  ['bucket', /not of the form s3:\/\/BUCKET/],
  ['https://s3.example.com/bucket', /not of the form s3:\/\/BUCKET/],
  ['s3://', /bucket is not 3 to 255/],
  ['s3:///prefix', /bucket is not 3 to 255/],
  ['s3://bu', /bucket is not 3 to 255/],
  ['s3://bucket:9000', /bucket is not 3 to 255/],
  [
    's3://bucket?endpoint=localhost:9000',
    /endpoint as it does not start with http:\/\/ or https:\/\/: "localhost:9000"/,
  ],
  ['s3://bucket?endpoint=http://h?x=1', /endpoint as it is more than a host and a path/],
  ['s3://bucket?endpoint=http://key:secret@h', /endpoint as it is more than a host and a path/],
  ['s3://bucket?regoin=eu', /no setting "regoin" \(did you mean "region"\?\)/],
  ['s3://bucket?pathstyle=true', /no setting "pathstyle" \(did you mean "pathStyle"\?\)/],
  ['s3://bucket?acl=public', /no setting "acl" \(there are endpoint, region, pathStyle\)/],
  ['s3://bucket?region=a&region=b', /"region" is given twice/],
  ['s3://bucket?region=', /region as it is not 1 to 64/],
  ['s3://bucket?pathStyle=maybe', /pathStyle is neither true nor false/],
  ['s3://bucket/a//b', /key as a part between its slashes is empty/],
  ['s3://bucket/%zz', /a % in it starts no escape/],
] as const) {
  test(`an S3 address is refused with the reason: ${text}`, () => {
    assert.throws(
      () => parseS3Address(text),
      error => isCiError(error, 'invalid') && reason.test(error.message),
    );
  });
}

test('an S3 address that holds credentials is refused without showing them', () => {
  assert.throws(
    () => parseS3Address('s3://AKIAXX:hunter2@bucket'),
    error =>
      isCiError(error, 'invalid') && /AWS_SECRET_ACCESS_KEY/.test(error.message) && !/hunter2/.test(error.message),
  );
});
