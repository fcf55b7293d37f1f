import { isCiError } from '../../shared/errors.ts';
import type { TaskId } from '../../shared/ids.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import { hasNonce } from './claim.ts';

/** When to look, in milliseconds after the claim was given up. etcd itself gives a request up after some 7 s. */
const LOOKS_MS = [500, 2000, 5000, 15_000, 40_000];
/** A look that the store did not answer is taken again after this: the last one decides. */
const RETRY_MS = 1000;

/**
 * A claim whose answer was lost, and which was not there when we looked, may still arrive: a request can lie in the network
 * or in a slow member for a while. Its lock would stand under a lease that lives, with nobody working. So the key is looked at
 * for a minute more, and a lock that did come late, known by its nonce, is deleted. Ends early by the signal: with the
 * session, the lock is gone too.
 */
export async function dropLateClaim(cluster: Cluster, id: TaskId, nonce: string, signal: AbortSignal): Promise<void> {
  const { clock } = cluster;
  const begun = clock.monotonic();
  for (const look of LOOKS_MS) {
    await clock.sleep(Math.max(0, begun + look - clock.monotonic()), signal);
    while (!(await isGone(cluster, id, nonce, signal))) await clock.sleep(RETRY_MS, signal);
  }
}

/** Deletes the lock if it is there; false when the store did not say what became of it. */
async function isGone({ store, keys }: Cluster, id: TaskId, nonce: string, signal: AbortSignal): Promise<boolean> {
  const call = { signal, timeoutMs: CALL_TIMEOUT_MS };
  try {
    const lock = (await store.range({ key: keys.lock(id), limit: 1 }, call)).records[0];
    if (!lock || !hasNonce(lock, nonce)) return true;
    const result = await store.commit(
      { when: [{ key: keys.lock(id), createRevision: lock.createRevision }], then: [{ delete: keys.lock(id) }] },
      call,
    );
    return result.kind !== 'ambiguous';
  } catch (error) {
    if (!isCiError(error)) throw error;
    return false;
  }
}
