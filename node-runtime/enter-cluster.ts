import { join } from 'node:path';
import type { ClusterId } from '../shared/ids.ts';
import { keyspace } from '../shared/keyspace.ts';
import { readClusterKey } from './cluster/cluster-key.ts';
import { type Joined, joinCluster } from './cluster/join-cluster.ts';
import { ensureAdminToken } from './cluster/tokens.ts';
import { DirectoryObjectStore } from './objects/directory-object-store.ts';
import { MeasuredObjectStore } from './objects/measured-object-store.ts';
import type { ObjectStore } from './objects/object-store.ts';
import type { S3Options } from './objects/s3-address.ts';
import type { AddressSigner } from './objects/signed-address.ts';
import type { NodeOptions } from './options.ts';
import { MeasuredStore } from './store/measured-store.ts';
import type { Store } from './store/store.ts';
import { systemChance } from './system/chance.ts';
import { neverAborted, systemClock } from './system/clock.ts';
import type { CallObserver } from './system/measure-call.ts';

/** A cluster and how this node came into it. Disposing of it closes its stores. */
export interface Entered extends Joined, AsyncDisposable {
  /** Signs the addresses of objects that lie in this node's folder; absent with an S3, which has its own. */
  readonly signer?: AddressSigner;
  /** The first one of a new cluster. */
  readonly adminToken: string | undefined;
}

interface Entry {
  /** The node's own address, once it has one. */
  readonly address: () => string;
  readonly observeStore: CallObserver;
  readonly observeObjects: CallObserver;
}

/** How long S3 may take to answer for the first time, in milliseconds. */
const S3_START_LIMIT_MS = 10_000;

/** Opens the stores that the options name and forms or joins the cluster in them. What fails leaves nothing open. */
export async function enterCluster(options: NodeOptions, entry: Entry): Promise<Entered> {
  await using opened = new AsyncDisposableStack();
  const clock = systemClock;
  const chance = systemChance;
  const store = opened.use(new MeasuredStore(await openStore(options), { clock, observe: entry.observeStore }));
  const s3 = options.s3 && opened.use(await openS3(options.s3, options.cluster));
  const outside = { id: options.cluster, keys: keyspace(options.cluster), store, clock };
  let adminToken: string | undefined;
  let signer: AddressSigner | undefined;

  async function openObjects(): Promise<ObjectStore> {
    adminToken = await ensureAdminToken(outside, neverAborted);
    // Told at once: nobody could get at the cluster any more if this start failed later on.
    if (adminToken !== undefined) options.onAdminToken?.(adminToken);
    if (s3) return s3;
    const key = await readClusterKey(outside, neverAborted);
    signer = { secret: key.derive('objects'), baseUrl: entry.address };
    const root = join(options.dataDir, 'objects');
    return opened.use(new DirectoryObjectStore({ root, clock, chance, signer }));
  }

  const objects = async () => new MeasuredObjectStore(await openObjects(), { clock, observe: entry.observeObjects });
  const joined = await joinCluster(options.cluster, { store, objects, clock, chance }, neverAborted);
  const owned = opened.move();
  return {
    ...joined,
    ...(signer && { signer }),
    adminToken,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The heavy clients are loaded only where they are used. */
async function openStore({ etcd, dataDir }: NodeOptions): Promise<Store> {
  if (etcd) {
    const { EtcdStore } = await import('./store/etcd-store.ts');
    return EtcdStore.open(etcd, { clock: systemClock, chance: systemChance }, neverAborted);
  }
  const { EmbeddedStore } = await import('./store/embedded-store.ts');
  return EmbeddedStore.open({ file: join(dataDir, 'store.sqlite'), clock: systemClock });
}

/** Tries it, so that a node whose S3 does not work claims nothing and forms no cluster. */
async function openS3(address: S3Options, cluster: ClusterId): Promise<ObjectStore> {
  const { S3ObjectStore } = await import('./objects/s3-object-store.ts');
  await using opened = new AsyncDisposableStack();
  const objects = opened.use(new S3ObjectStore({ address, clock: systemClock, chance: systemChance }));
  await objects.head(`${cluster}/cluster`, { signal: neverAborted, timeoutMs: S3_START_LIMIT_MS });
  opened.move();
  return objects;
}
