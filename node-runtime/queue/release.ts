import type { AttemptEnd, AttemptsRecord, PastAttempt } from '../../shared/result.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import { keepNewest } from './claim.ts';
import { type Claim, readTaskState } from './records.ts';

/**
 * RELEASE: hands a claimed task back to the queue, and notes why. A drained attempt is charged to no budget. Deletes the lock,
 * and never ends the lease, which is shared by all claims of the node. Does nothing if the claim is no longer held.
 */
export async function releaseTask(
  cluster: Cluster,
  claim: Claim,
  end: Exclude<AttemptEnd, 'lost'>,
  message: string,
  signal: AbortSignal,
): Promise<void> {
  const { keys, store } = cluster;
  const result = await store.commit(
    {
      when: [{ key: keys.lock(claim.id), createRevision: claim.fence }],
      then: [
        { delete: keys.lock(claim.id) },
        { put: keys.attempts(claim.id), value: JSON.stringify(closeAttempt(claim, end, message)) },
      ],
    },
    { signal, timeoutMs: CALL_TIMEOUT_MS },
  );
  if (result.kind !== 'ambiguous') return;
  const state = await readTaskState(cluster, claim.id, signal);
  if (state.lock?.revision === claim.fence) throw result.cause;
}

function closeAttempt(claim: Claim, end: Exclude<AttemptEnd, 'lost'>, message: string): AttemptsRecord {
  const { open: _open, ...rest } = claim.attempts;
  const past: PastAttempt = {
    attempt: claim.lock.attempt,
    fence: claim.fence,
    node: claim.lock.node,
    claimed: claim.lock.claimed,
    end,
    message,
  };
  return {
    ...rest,
    crashed: rest.crashed + (end === 'crashed' ? 1 : 0),
    lost: rest.lost + (end === 'infrastructure' ? 1 : 0),
    drained: rest.drained + (end === 'drained' ? 1 : 0),
    past: keepNewest([...rest.past, past]),
  };
}
