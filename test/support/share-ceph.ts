import { cephIsInstalled, type OwnCephS3, startOwnCeph } from './ceph-server.ts';

/**
 * For `node --test --test-global-setup=test/support/share-ceph.ts`: one Ceph for all test files, which `startCeph` finds by
 * these variables. Without Ceph, each test that needs it says so by itself.
 */
let ceph: OwnCephS3 | undefined;

export async function globalSetup(): Promise<void> {
  if (!cephIsInstalled() || process.env.SIMPLE_CI_TEST_S3_ENDPOINT !== undefined) return;
  ceph = await startOwnCeph();
  process.env.SIMPLE_CI_TEST_S3_ENDPOINT = ceph.endpoint;
  process.env.SIMPLE_CI_TEST_S3_KEY = ceph.credentials.accessKeyId;
  process.env.SIMPLE_CI_TEST_S3_SECRET = ceph.credentials.secretAccessKey;
}

export async function globalTeardown(): Promise<void> {
  await ceph?.[Symbol.asyncDispose]();
}
