import { isCiError } from '../../shared/errors.ts';
import { TaskRecord } from '../../shared/task.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Session } from '../cluster/session.ts';
import { cancelMessage } from '../queue/cancel.ts';
import { type Claim, parseRecord, readTaskState } from '../queue/records.ts';
import { AttemptStop } from './executor.ts';

/** An attempt shorter than this is over before anyone could cancel it: it costs the store no read and no watch. */
const LOOK_AFTER_MS = 200;

/**
 * Looks after a claim while its attempt runs, and fires `stop` when it is cancelled or lost. Silence of the store is neither:
 * the supervisor freezes the task then, and it goes on when the store is back and the lock still ours. Ends by `ended`, which
 * must fire with `stop` too.
 */
export async function watchClaim(
  cluster: Cluster,
  session: Session,
  claim: Claim,
  stop: AbortController,
  ended: AbortSignal,
): Promise<void> {
  const lost = () => stop.abort(new AttemptStop('lost', 'The claim was lost: its lock is gone'));
  if (session.lost.aborted) lost();
  session.lost.addEventListener('abort', lost, { once: true });
  const { clock, chance } = cluster;
  await clock.sleep(LOOK_AFTER_MS, ended).catch(() => undefined);
  while (!ended.aborted) {
    try {
      await look(cluster, claim, stop, ended);
    } catch (error) {
      if (ended.aborted) break;
      if (!isCiError(error)) throw error;
      if (error.code !== 'gone') await clock.sleep(200 + 800 * chance.random(), ended).catch(() => undefined);
    }
  }
  session.lost.removeEventListener('abort', lost);
}

/** Reads how the task stands, then follows its keys; returns when the watch ends. */
async function look(cluster: Cluster, claim: Claim, stop: AbortController, signal: AbortSignal): Promise<void> {
  const { keys, store } = cluster;
  const { revision, task, lock } = await readTaskState(cluster, claim.id, signal);
  if (lock?.revision !== claim.fence)
    return stop.abort(new AttemptStop('lost', 'The claim was lost: its lock is not ours any more'));
  if (task?.value.cancelled) return cancel(stop, task.value);
  // The prefix of one task's keys; that of a longer id may begin the same, so keys are compared whole.
  for await (const batch of store.watch({ prefix: keys.task(claim.id), from: revision + 1 }, signal)) {
    for (const change of batch.changes) {
      if (change.kind === 'delete' && change.key === keys.lock(claim.id))
        return stop.abort(new AttemptStop('lost', 'The claim was lost: its lock was deleted'));
      if (change.kind !== 'put' || change.record.key !== keys.task(claim.id)) continue;
      const changed = parseRecord(TaskRecord, change.record);
      if (changed.cancelled) return cancel(stop, changed);
    }
  }
}

function cancel(stop: AbortController, task: TaskRecord): void {
  stop.abort(new AttemptStop('cancelled', cancelMessage(task.cancelled)));
}
