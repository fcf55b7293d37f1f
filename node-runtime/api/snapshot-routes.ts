import { SnapshotManifest } from '../../shared/api.ts';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { getBytes } from '../objects/collect.ts';
import { parseRecord } from '../queue/records.ts';
import type { Handlers } from './handlers.ts';

/** How long the address for an upload works. */
const UPLOAD_SECONDS = 3600;

type SnapshotHandlers = Pick<Handlers, 'checkSnapshots' | 'getSnapshot' | 'uploadPack' | 'putSnapshot'>;

export function snapshotHandlers({ cluster }: { cluster: Cluster }): SnapshotHandlers {
  const { objects, objectKeys, clock } = cluster;
  return {
    checkSnapshots: async ({ body, signal }) => {
      const whole = await Promise.all(body.commits.map(commit => isWhole(cluster, commit, signal)));
      return { present: body.commits.filter((_, index) => whole[index]) };
    },

    getSnapshot: async ({ params, signal }) => {
      const manifest = await readManifest(cluster, params.commit, signal);
      if (manifest) return manifest;
      throw new CiError('not-found', `Cannot find snapshot: ${quote(params.commit)}`);
    },

    uploadPack: async ({ params, signal }) => ({
      url: await objects.presign('PUT', objectKeys.pack(params.id), { expiresSeconds: UPLOAD_SECONDS, signal }),
      expires: clock.now() + UPLOAD_SECONDS * 1000,
    }),

    putSnapshot: async ({ params, body, signal }) => {
      if (body.commit !== params.commit)
        throw new CiError(
          'invalid',
          `Cannot publish snapshot as its commit is not the one of the address: ${body.commit}`,
        );
      await refuseMissingPacks(cluster, body, signal);
      const bytes = Buffer.from(JSON.stringify(body));
      await objects.put(objectKeys.snapshot(body.commit), bytes, { contentType: 'application/json', signal });
      return body;
    },
  };
}

/** A manifest is written last: once it can be read, what it names is there. */
async function refuseMissingPacks(cluster: Cluster, manifest: SnapshotManifest, signal: AbortSignal): Promise<void> {
  const sizes = await Promise.all(manifest.packs.map(pack => packSize(cluster, pack.id, signal)));
  for (const [index, pack] of manifest.packs.entries()) {
    if (sizes[index] === pack.bytes) continue;
    const there = sizes[index] === undefined ? 'is not there' : `has ${sizes[index]} bytes instead of ${pack.bytes}`;
    throw new CiError('conflict', `Cannot publish snapshot ${manifest.commit} as its pack ${there}: ${pack.id}`);
  }
}

/** Whether the manifest and every pack are there: retention may have taken a pack. */
async function isWhole(cluster: Cluster, commit: string, signal: AbortSignal): Promise<boolean> {
  const manifest = await readManifest(cluster, commit, signal);
  if (!manifest) return false;
  const sizes = await Promise.all(manifest.packs.map(pack => packSize(cluster, pack.id, signal)));
  return manifest.packs.every((pack, index) => sizes[index] === pack.bytes);
}

async function packSize(
  { objects, objectKeys }: Cluster,
  id: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  return (await objects.head(objectKeys.pack(id), { signal }))?.size;
}

async function readManifest(
  { objects, objectKeys }: Cluster,
  commit: string,
  signal: AbortSignal,
): Promise<SnapshotManifest | undefined> {
  const key = objectKeys.snapshot(commit);
  const bytes = await getBytes(objects, key, { signal });
  return bytes && parseRecord(SnapshotManifest, { key, value: bytes.toString() });
}
