import { CiError } from '../../shared/errors.ts';
import type { ClusterId } from '../../shared/ids.ts';
import { keyspace, objectKeys } from '../../shared/keyspace.ts';
import { ClusterRecord } from '../../shared/result.ts';
import { FORMAT_VERSION } from '../../shared/task.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { Store } from '../store/store.ts';
import type { Chance } from '../system/chance.ts';
import type { Clock } from '../system/clock.ts';
import { CALL_TIMEOUT_MS, type Cluster } from './cluster.ts';

export interface Joined {
  readonly cluster: Cluster;
  /** Whether this start made the cluster, rather than finding it. */
  readonly formed: boolean;
}

/** Forms the cluster of that id if there is none, joins it if there is. Refuses one that a newer release has formed. */
export async function joinCluster(
  id: ClusterId,
  parts: { store: Store; objects: (epoch: string) => Promise<ObjectStore>; clock: Clock; chance: Chance },
  signal: AbortSignal,
): Promise<Joined> {
  const { store, clock, chance } = parts;
  const keys = keyspace(id);
  const call = { signal, timeoutMs: CALL_TIMEOUT_MS };
  const own: ClusterRecord = { v: FORMAT_VERSION, epoch: chance.word(12), created: clock.now() };
  await store.commit(
    { when: [{ key: keys.cluster, exists: false }], then: [{ put: keys.cluster, value: JSON.stringify(own) }] },
    call,
  );
  // Read back whatever the answer was: it may have been lost, and another node may have been first.
  const record = (await store.range({ key: keys.cluster, limit: 1 }, call)).records[0];
  if (!record) throw new CiError('unavailable', `Cannot form cluster ${id} as the store did not take its record`);
  const { epoch } = readClusterRecord(id, record.value);
  const cluster = {
    id,
    epoch,
    keys,
    objectKeys: objectKeys(id, epoch),
    store,
    objects: await parts.objects(epoch),
    clock,
    chance,
  };
  return { cluster, formed: epoch === own.epoch };
}

function readClusterRecord(id: ClusterId, value: string): ClusterRecord {
  let json: unknown;
  try {
    json = JSON.parse(value);
  } catch {
    throw new CiError(
      'conflict',
      `Cannot join cluster ${id} as its record is not one of Simple CI: ${value.slice(0, 80)}`,
    );
  }
  const version = (json as { v?: unknown } | null)?.v;
  if (typeof version === 'number' && version > FORMAT_VERSION) {
    throw new CiError(
      'newer-format',
      `Cannot join cluster ${id} as a newer release formed it: format ${version}, this release knows ${FORMAT_VERSION}`,
    );
  }
  const parsed = ClusterRecord.safeParse(json);
  if (!parsed.success)
    throw new CiError(
      'conflict',
      `Cannot join cluster ${id} as its record is not one of Simple CI: ${value.slice(0, 80)}`,
    );
  return parsed.data;
}
