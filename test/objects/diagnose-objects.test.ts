import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { diagnoseObjects } from '../../node-runtime/objects/diagnose-objects.ts';
import { DirectoryObjectStore } from '../../node-runtime/objects/directory-object-store.ts';
import { parseS3Address } from '../../node-runtime/objects/s3-address.ts';
import { S3ObjectStore } from '../../node-runtime/objects/s3-object-store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { startSignedObjectServer } from '../support/signed-object-server.ts';

const diagnosis = { clock: systemClock, chance: systemChance, signal: neverAborted, tryAddresses: true };

test('the doctor finds nothing wrong with a directory, and leaves nothing in it', async t => {
  const { objects, server } = await openDirectory(t);
  server.serve(objects);
  const findings = await diagnoseObjects(objects, diagnosis);
  assert.deepEqual(
    findings.map(({ subject }) => subject),
    ['write', 'read', 'read a part', 'look up', 'clock', 'list', 'signed write', 'signed read', 'browsers', 'delete'],
  );
  assert.deepEqual(
    findings.filter(({ level }) => level === 'problem'),
    [],
  );
  assert.deepEqual(await Array.fromAsync(objects.list('', { signal: neverAborted })), []);
});

test('the doctor says by how much the clock is off', async t => {
  const { objects } = await openDirectory(t);
  const clock = { ...systemClock, now: () => Date.now() + 600_000 };
  const findings = await diagnoseObjects(objects, { ...diagnosis, clock, tryAddresses: false });
  // A busy machine may be slow to write, which is another warning.
  const warning = findings.find(({ subject }) => subject === 'clock');
  assert.equal(warning?.level, 'warning');
  assert.match(warning.what, /is (599|600|601) s ahead of the store's/);
});

test('the doctor says what is wrong and what to do when the object store cannot be reached', async () => {
  const address = parseS3Address('s3://bucket?endpoint=http://127.0.0.1:1');
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' };
  // Its clock runs fast, so that nobody waits for the end of the retries.
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() * 100 };
  await using objects = new S3ObjectStore({ address, credentials, clock, chance: systemChance });
  const findings = await diagnoseObjects(objects, diagnosis);
  assert.equal(findings[0]?.level, 'problem');
  assert.equal(findings[0].subject, 'write');
  assert.match(findings[0].what, /could not be reached.*ECONNREFUSED.*127\.0\.0\.1:1/);
  assert.match(findings[0].advice ?? '', /endpoint/);
});

async function openDirectory(t: TestContext) {
  const root = await mkdtemp(join(tmpdir(), 'simple-ci-doctor-'));
  const server = await startSignedObjectServer();
  t.after(async () => {
    await server[Symbol.asyncDispose]();
    await rm(root, { recursive: true, force: true });
  });
  const { signer } = server;
  return { server, objects: new DirectoryObjectStore({ root, clock: systemClock, chance: systemChance, signer }) };
}
