import type { TaskId } from '../../shared/ids.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import { endUnheldTask } from './dead-letter.ts';
import { readTaskState } from './records.ts';

/** Who wants a task to end, and why if that is not plain. */
export interface Canceller {
  readonly by: string;
  readonly reason?: string | undefined;
}

/** What a task that was cancelled says of its end. */
export function cancelMessage({ by, reason }: Canceller = { by: 'somebody' }): string {
  return `Cancelled by ${by}${reason === undefined ? '' : `: ${reason}`}`;
}

/**
 * CANCEL: ends a queued task at once; of a running one, asks: its holder sees the mark in task.json, stops the task and completes
 * it as cancelled. Once acknowledged, no new claim is possible. Asking again, or for a finished task, changes nothing.
 * False if there is no such task.
 */
export async function cancelTask(cluster: Cluster, id: TaskId, who: Canceller, signal: AbortSignal): Promise<boolean> {
  for (;;) {
    const { task, lock, attempts, completed } = await readTaskState(cluster, id, signal);
    if (completed) return true;
    if (!task) return false;
    if (!lock && (await endUnheldTask(cluster, id, task, attempts, 'cancelled', cancelMessage(who), signal)))
      return true;
    if (
      lock &&
      (task.value.cancelled ||
        (await markCancelled(
          cluster,
          id,
          task.revision,
          { ...task.value, cancelled: { ...who, at: cluster.clock.now() } },
          signal,
        )))
    ) {
      return true;
    }
    // It was claimed, released or completed in between: look again.
    signal.throwIfAborted();
  }
}

async function markCancelled(
  cluster: Cluster,
  id: TaskId,
  revision: number,
  marked: unknown,
  signal: AbortSignal,
): Promise<boolean> {
  const { keys, store } = cluster;
  const result = await store.commit(
    {
      // Of a task that nobody holds any more, nobody may be there to see the mark.
      when: [
        { key: keys.task(id), modRevision: revision },
        { key: keys.lock(id), exists: true },
      ],
      then: [{ put: keys.task(id), value: JSON.stringify(marked) }],
    },
    { signal, timeoutMs: CALL_TIMEOUT_MS },
  );
  return result.kind === 'committed';
}
