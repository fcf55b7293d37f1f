import type { TaskId } from '../../shared/ids.ts';
import type { AttemptsRecord, Outcome, TaskResult } from '../../shared/result.ts';
import { DEFAULT_ATTEMPTS, FORMAT_VERSION, type TaskRecord } from '../../shared/task.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import { closeLost } from './claim.ts';
import type { Seen } from './records.ts';

/** DEAD-LETTER: ends a task whose attempts are used up. Any node may do it; false if the task has moved on meanwhile. */
export async function deadLetterTask(
  cluster: Cluster,
  id: TaskId,
  task: Seen<TaskRecord>,
  attempts: Seen<AttemptsRecord>,
  signal: AbortSignal,
): Promise<boolean> {
  const { outcome, message } = verdict(task.value, closeLost(attempts));
  return endUnheldTask(cluster, id, task, attempts, outcome, message, signal);
}

function verdict(task: TaskRecord, attempts: AttemptsRecord): { outcome: Outcome; message: string } {
  const crashBudget = task.attempts?.crashed ?? DEFAULT_ATTEMPTS.crashed;
  if (task.idempotent === false)
    return {
      outcome: 'dead-lettered',
      message: `Its only attempt ended without a verdict, and it says that it may not be repeated${last(attempts)}`,
    };
  if (attempts.crashed >= crashBudget) {
    return {
      outcome: 'crashed',
      message: `Its process was killed from outside in ${attempts.crashed} of ${crashBudget} attempts allowed${last(attempts)}`,
    };
  }
  return {
    outcome: 'infrastructure-lost',
    message: `Attempts lost with their node or its stores: ${attempts.lost}, as many as it allows${last(attempts)}`,
  };
}

/** How the last attempt ended: what people want to know first. */
function last({ past }: AttemptsRecord): string {
  const end = past.at(-1);
  if (!end) return '';
  return `. Attempt ${end.attempt} on ${end.node}: ${end.message ?? end.end}`;
}

/**
 * Writes the verdict of a task that nobody holds: dead-lettered, or cancelled in the queue. False, and nothing changed, if it
 * was claimed, changed or completed since it was seen.
 */
export async function endUnheldTask(
  cluster: Cluster,
  id: TaskId,
  task: Seen<TaskRecord>,
  attempts: Seen<AttemptsRecord> | undefined,
  outcome: Outcome,
  message: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { keys, store, clock } = cluster;
  const result: TaskResult = {
    v: FORMAT_VERSION,
    outcome,
    message,
    fence: 0,
    attempt: attempts?.value.claims ?? 0,
    node: '',
    instance: '',
    times: { submitted: task.value.submitted, finished: clock.now() },
    steps: [],
    log: { bytes: 0, lines: 0 },
    artifacts: { count: 0, bytes: 0 },
    past: attempts ? closeLost(attempts).past : [],
    task: task.value,
  };
  const answer = await store.commit(
    {
      when: [
        { key: keys.lock(id), exists: false },
        { key: keys.completed(id), exists: false },
        { key: keys.task(id), modRevision: task.revision },
        { key: keys.attempts(id), modRevision: attempts?.revision ?? 0 },
      ],
      then: [
        { put: keys.completed(id), value: JSON.stringify(result) },
        { delete: keys.task(id) },
        { delete: keys.attempts(id) },
      ],
    },
    { signal, timeoutMs: CALL_TIMEOUT_MS },
  );
  return answer.kind === 'committed';
}
