import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import type { CephS3 } from '../support/ceph-server.ts';

/** What lies in the object store, read past the product and past all proxies. */
export interface Bucket extends Disposable {
  list(signal: AbortSignal): Promise<string[]>;
  get(key: string, signal: AbortSignal): Promise<Buffer>;
}

export function openBucket({ endpoint, credentials, bucket }: CephS3): Bucket {
  const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true });
  return {
    list: async abortSignal => {
      const keys: string[] = [];
      for (let token: string | undefined, more = true; more; ) {
        const command = new ListObjectsV2Command({ Bucket: bucket, ContinuationToken: token });
        const page = await client.send(command, { abortSignal });
        keys.push(...(page.Contents ?? []).map(({ Key = '' }) => Key));
        token = page.NextContinuationToken;
        more = page.IsTruncated === true;
      }
      return keys;
    },
    get: async (key, abortSignal) => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }), { abortSignal });
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    },
    [Symbol.dispose]: () => client.destroy(),
  };
}
