import type { TaskResult } from '../../shared/result.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import { type Claim, readTaskState, taskStateOf } from './records.ts';

/**
 * COMPLETE: moves the task from `tasks/` to `completed/`, if this claim still holds it. `fenced`: it does not, another attempt
 * has taken over or finished, and nothing was changed. Safe to repeat: a completion recognises its own.
 *
 * Rejects with `unavailable` while the store cannot be reached; the caller tries again for as long as it holds the claim.
 */
export async function completeTask(
  cluster: Cluster,
  claim: Claim,
  result: TaskResult,
  signal: AbortSignal,
): Promise<'completed' | 'fenced'> {
  const { keys, store } = cluster;
  const answer = await store.commit(
    {
      when: [
        { key: keys.lock(claim.id), createRevision: claim.fence },
        { key: keys.completed(claim.id), exists: false },
      ],
      then: [
        { put: keys.completed(claim.id), value: JSON.stringify(result) },
        { delete: keys.task(claim.id) },
        { delete: keys.lock(claim.id) },
        { delete: keys.attempts(claim.id) },
      ],
      otherwise: [keys.lock(claim.id), keys.completed(claim.id)],
    },
    { signal, timeoutMs: CALL_TIMEOUT_MS },
  );
  if (answer.kind === 'committed') return 'completed';
  const state =
    answer.kind === 'refused'
      ? taskStateOf(cluster, claim.id, answer.revision, answer.records)
      : await readTaskState(cluster, claim.id, signal);
  if (state.completed?.value.fence === claim.fence) return 'completed';
  // The answer was lost and so was the request: we hold it still, the caller tries again.
  if (answer.kind === 'ambiguous' && state.lock?.revision === claim.fence) throw answer.cause;
  return 'fenced';
}
