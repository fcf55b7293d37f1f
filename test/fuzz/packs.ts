import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { SnapshotManifest } from '../../shared/api.ts';
import { isCiError } from '../../shared/errors.ts';
import { parseRecord } from '../../node-runtime/queue/records.ts';
import { GitWorkspace, SnapshotReceiver, walk } from '../support/git-workspace.ts';
import { damaged, edits } from './damaged.ts';
import { type FuzzTarget, fuzzing } from './fuzz-target.ts';

/** What stands at a value's place in a manifest. */
const values = fc.oneof(
  fc.constantFrom<unknown>(
    '..',
    '../../x',
    '/etc/passwd',
    '-x',
    '--help',
    '',
    'a'.repeat(40),
    'b'.repeat(64),
    0,
    -1,
    Number.POSITIVE_INFINITY,
    null,
    true,
    [],
    {},
  ),
  fc.string(),
  fc.integer(),
);

export const packTargets: readonly FuzzTarget[] = [
  {
    name: 'packs: one that was damaged is refused, and leaves nothing behind',
    runs: 15,
    start: () =>
      withSnapshot(({ cluster, manifest, bytes }) =>
        fc.asyncProperty(edits, async list => {
          const broken = damaged(bytes, list);
          fc.pre(!Buffer.from(bytes).equals(broken));
          await checkRefused(cluster, withPack(cluster, manifest, broken, manifest.packs[0]!.id));
        }),
      ),
  },
  {
    name: 'packs: one that was damaged before it got its name is refused, or is the same files',
    runs: 15,
    start: () =>
      withSnapshot(({ cluster, manifest, bytes, files }) =>
        fc.asyncProperty(edits, fc.boolean(), async (list, hasTrailer) => {
          const broken = damaged(bytes, list);
          const pack = hasTrailer ? withTrailer(broken) : broken;
          const id = createHash('sha256').update(pack).digest('hex');
          await checkRefused(cluster, withPack(cluster, manifest, pack, id), files);
        }),
      ),
  },
  {
    name: 'packs: whatever a manifest says is refused, or is the same files',
    runs: 20,
    start: () =>
      withSnapshot(({ cluster, manifest, files, bytes }) =>
        fc.asyncProperty(
          fc.array(
            fc.tuple(
              fc.constantFrom('v', 'commit', 'tree', 'shallow', 'packs', 'pack.id', 'pack.bytes', 'shallow.0'),
              values,
            ),
            { minLength: 1, maxLength: 2 },
          ),
          async changes => {
            withPack(cluster, manifest, bytes, manifest.packs[0]!.id);
            const value = JSON.stringify(changes.reduce(changed, manifest));
            let read: SnapshotManifest;
            try {
              read = parseRecord(SnapshotManifest, { key: 'snapshots/x.json', value });
            } catch (error) {
              assert.ok(isCiError(error), String(error));
              return;
            }
            await checkRefused(cluster, read, files);
          },
        ),
      ),
  },
];

interface Sent {
  readonly cluster: SnapshotReceiver;
  readonly manifest: SnapshotManifest;
  /** Of its one pack. */
  readonly bytes: Uint8Array;
  /** What a checkout of it has. */
  readonly files: readonly string[];
}

async function withSnapshot(property: (sent: Sent) => fc.IRawProperty<unknown>) {
  const cluster = new SnapshotReceiver();
  using user = GitWorkspace.repository();
  for (const name of ['a', 'b/c', 'b/d/e']) user.write(name, `${name}\n`.repeat(50));
  const manifest = await cluster.receive(await user.snapshot(), user.env);
  const bytes = cluster.objects.objects.get(cluster.objectKeys.pack(manifest.packs[0]!.id))!.bytes;
  return fuzzing(property({ cluster, manifest, bytes, files: walk(user.root) }), async () =>
    cluster[Symbol.asyncDispose](),
  );
}

/** Puts it in the place of the manifest's pack. */
function withPack(
  cluster: SnapshotReceiver,
  manifest: SnapshotManifest,
  bytes: Uint8Array,
  id: string,
): SnapshotManifest {
  cluster.objects.objects.clear();
  cluster.objects.objects.set(cluster.objectKeys.pack(id), { bytes, modified: 0 });
  return { ...manifest, packs: [{ id, bytes: bytes.length }] };
}

/** As a node fetches it: an error that is told, or the same files; and a cache without anything that is not whole. */
async function checkRefused(
  cluster: SnapshotReceiver,
  manifest: SnapshotManifest,
  files?: readonly string[],
): Promise<void> {
  const before = readdirSync(cluster.folder).filter(name => !name.startsWith('node') && !name.startsWith('checkout-'));
  const cacheDir = mkdtempSync(join(cluster.folder, 'node-'));
  const folder = await cluster.checkOut(manifest, cluster.cache({ cacheDir })).catch(error => {
    assert.ok(isCiError(error, 'invalid') || isCiError(error, 'gone'), String(error));
  });
  if (folder !== undefined) {
    assert.deepEqual(walk(folder), files);
    rmSync(folder, { recursive: true });
  }
  // Nothing of it lies anywhere but in the cache, and there only what was checked.
  assert.deepEqual(
    readdirSync(cluster.folder).filter(name => !name.startsWith('node') && !name.startsWith('checkout-')),
    before,
  );
  const left = readdirSync(cacheDir, { recursive: true, encoding: 'utf8' }).filter(name => name !== 'packs');
  const named = manifest.packs.map(({ id }) => `packs/${id}`);
  for (const path of left)
    assert.ok(
      named.some(name => path === name || path.startsWith(`${name}/pack`)),
      path,
    );
}

/** git ends a pack with the SHA-1 of what is before: with a right one, it looks further. */
function withTrailer(pack: Uint8Array): Uint8Array {
  const body = pack.subarray(0, Math.max(0, pack.length - 20));
  return Buffer.concat([body, createHash('sha1').update(body).digest()]);
}

function changed(manifest: SnapshotManifest, [field, value]: readonly [string, unknown]): SnapshotManifest {
  const pack = Array.isArray(manifest.packs) ? manifest.packs[0] : undefined;
  switch (field) {
    case 'pack.id':
      return { ...manifest, packs: [{ ...pack!, id: value as string }] };
    case 'pack.bytes':
      return { ...manifest, packs: [{ ...pack!, bytes: value as number }] };
    case 'shallow.0':
      return { ...manifest, shallow: [value as string] };
    default:
      return { ...manifest, [field]: value };
  }
}
