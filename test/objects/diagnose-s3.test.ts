import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutBucketCorsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { diagnoseObjects } from '../../node-runtime/objects/diagnose-objects.ts';
import { diagnoseS3 } from '../../node-runtime/objects/diagnose-s3.ts';
import { parseS3Address } from '../../node-runtime/objects/s3-address.ts';
import { S3ObjectStore } from '../../node-runtime/objects/s3-object-store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { type CephS3, startCeph, whyNoCeph } from '../support/ceph-server.ts';
import { type S3Fault, type S3FaultServer, startS3FaultServer } from '../support/s3-fault-server.ts';

const skip = whyNoCeph();
const parts = { clock: systemClock, chance: systemChance };

/** What is said of each subject. */
async function diagnose({ credentials, address }: Pick<CephS3, 'credentials' | 'address'>) {
  const options = { address: parseS3Address(address), credentials, ...parts };
  const findings = await diagnoseS3(options, { ...parts, signal: neverAborted, tryAddresses: true });
  return Object.fromEntries(findings.map(({ level, subject, what }) => [subject, `${level}: ${what}`]));
}

function clientOf({ endpoint, credentials }: CephS3): S3Client {
  return new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true });
}

/** The same bucket, by way of a server that does as it likes. */
function through(ceph: CephS3, faulty: S3FaultServer) {
  return { credentials: ceph.credentials, address: `s3://${ceph.bucket}?endpoint=${faulty.endpoint}` };
}

test('an S3 as it comes is told with all that was tried, and nothing is left in it', { skip }, async () => {
  await using ceph = await startCeph();
  const said = await diagnose(ceph);
  assert.match(said.multipart!, /^ok: Begun and given up, nothing is left: \d+ ms$/);
  assert.equal(said.conditions, 'ok: Kept (If-None-Match)');
  assert.match(said.lifecycle!, /^warning: No rule ends abandoned uploads/);
  assert.equal(said.versions, 'ok: Not kept');
  const client = clientOf(ceph);
  const { bucket: Bucket } = ceph;
  assert.equal((await client.send(new ListObjectsV2Command({ Bucket }))).KeyCount, 0);
  assert.deepEqual((await client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads ?? [], []);
});

test('how the bucket is set up is told', { skip }, async () => {
  await using ceph = await startCeph();
  const client = clientOf(ceph);
  const { bucket: Bucket } = ceph;
  const abort = { AbortIncompleteMultipartUpload: { DaysAfterInitiation: 3 } };
  const rule = { ID: 'abandoned', Status: 'Enabled', Filter: { Prefix: '' }, ...abort } as const;
  await client.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [rule] } }));
  const VersioningConfiguration = { Status: 'Enabled' } as const;
  await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
  const said = await diagnose(ceph);
  assert.equal(said.lifecycle, 'ok: Abandoned uploads end after 3 d');
  assert.match(said.versions!, /^warning: Kept/);
});

test('an S3 that takes no uploads back is a problem', { skip }, async () => {
  await using ceph = await startCeph();
  await using faulty = await startS3FaultServer(ceph.endpoint);
  faulty.fault = ({ method, url }) =>
    method === 'DELETE' && url.includes('uploadId') ? { kind: 'answer', status: 403, code: 'AccessDenied' } : undefined;
  const { multipart } = await diagnose(through(ceph, faulty));
  assert.match(multipart!, /^problem: Cannot look at multipart as these credentials may not do that/);
});

test('an S3 that heeds no conditions is good enough, and so is one that does not know them', { skip }, async () => {
  await using ceph = await startCeph();
  await using faulty = await startS3FaultServer(ceph.endpoint);
  const conditions = async (answer: S3Fault) => {
    let puts = 0;
    faulty.fault = ({ method, url }) =>
      method === 'PUT' && !url.includes('uploadId') && ++puts === 2 ? answer : undefined;
    return (await diagnose(through(ceph, faulty))).conditions;
  };
  const ignored = 'ok: Ignored (If-None-Match); they are not needed';
  assert.equal(await conditions({ kind: 'answer', status: 200, body: '' }), ignored);
  const unknown = 'ok: Not known to it (If-None-Match); they are not needed';
  assert.equal(await conditions({ kind: 'answer', status: 501, code: 'NotImplemented' }), unknown);
});

test('what these credentials may not see of the bucket is left out', { skip }, async () => {
  await using ceph = await startCeph();
  await using faulty = await startS3FaultServer(ceph.endpoint);
  faulty.fault = ({ url }) =>
    /\?(lifecycle|versioning)/.test(url) ? { kind: 'answer', status: 403, code: 'AccessDenied' } : undefined;
  assert.deepEqual(Object.keys(await diagnose(through(ceph, faulty))), ['credentials', 'multipart', 'conditions']);
});

test('whether pages of other sites may fetch artifacts is told', { skip }, async () => {
  await using ceph = await startCeph();
  const options = { address: parseS3Address(ceph.address), credentials: ceph.credentials, ...parts };
  await using objects = new S3ObjectStore(options);
  const look = async () => {
    const findings = await diagnoseObjects(objects, { ...parts, signal: neverAborted, tryAddresses: true });
    return findings.find(({ subject }) => subject === 'browsers')?.what;
  };
  assert.equal(await look(), 'Pages of other sites may not fetch artifacts (CORS)');
  const cors = { AllowedMethods: ['GET'], AllowedOrigins: ['https://simple-ci.example'] };
  const CORSConfiguration = { CORSRules: [cors] };
  await clientOf(ceph).send(new PutBucketCorsCommand({ Bucket: ceph.bucket, CORSConfiguration }));
  assert.equal(await look(), 'Pages of https://simple-ci.example may fetch artifacts (CORS)');
});
