import type { ClusterId } from '../../shared/ids.ts';
import type { Keyspace, ObjectKeys } from '../../shared/keyspace.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { Store } from '../store/store.ts';
import type { Chance } from '../system/chance.ts';
import type { Clock } from '../system/clock.ts';

/** The cluster as one node sees it: where its state and bytes are, and time and chance to work with. */
export interface Cluster {
  readonly id: ClusterId;
  readonly epoch: string;
  readonly keys: Keyspace;
  readonly objectKeys: ObjectKeys;
  readonly store: Store;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly chance: Chance;
}

/** How long one call to the store may take before the caller tries again or gives up, in milliseconds. */
export const CALL_TIMEOUT_MS = 3000;
