import { describeIssue } from '../../shared/describe-issue.ts';
import { CiError } from '../../shared/errors.ts';
import { type TaskId, quote, taskIdTime } from '../../shared/ids.ts';
import { FORMAT_VERSION, MAX_TASK_BYTES, type TaskRecord, TaskSpec } from '../../shared/task.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import { readTaskState, type TaskState, taskStateOf } from './records.ts';

/** How long after its id was made a task may still be submitted: completed records are kept at least this long. */
const SUBMIT_WINDOW_MS = 24 * 3_600_000;

/**
 * SUBMIT: puts a task into the queue. The id is the idempotency key: the same task submitted again under its id, also after
 * it has finished, changes nothing and succeeds; another task under that id is refused.
 */
export async function submitTask(
  cluster: Cluster,
  id: TaskId,
  spec: unknown,
  submitter: string,
  signal: AbortSignal,
): Promise<void> {
  const record = makeRecord(cluster, id, spec, submitter);
  const { keys, store } = cluster;
  const result = await store.commit(
    {
      when: [
        { key: keys.task(id), exists: false },
        { key: keys.completed(id), exists: false },
      ],
      then: [{ put: keys.task(id), value: JSON.stringify(record) }],
      otherwise: [keys.task(id), keys.completed(id)],
    },
    { signal, timeoutMs: CALL_TIMEOUT_MS },
  );
  if (result.kind === 'committed') return;
  const state =
    result.kind === 'refused'
      ? taskStateOf(cluster, id, result.revision, result.records)
      : await readTaskState(cluster, id, signal);
  if (isSubmitted(state, record)) return;
  if (result.kind === 'ambiguous') throw result.cause;
  throw new CiError('conflict', `Cannot submit task as its id belongs to another task: ${id}`);
}

function makeRecord(cluster: Cluster, id: TaskId, spec: unknown, submitter: string): TaskRecord {
  const now = cluster.clock.now();
  const age = now - taskIdTime(id);
  if (Math.abs(age) > SUBMIT_WINDOW_MS) {
    throw new CiError(
      'invalid',
      `Cannot submit task as its id was made more than 24 h before or after now by this node's clock: ${id}`,
    );
  }
  const parsed = TaskSpec.safeParse(spec);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new CiError(
      'invalid',
      `Cannot submit task as "${issue.path.join('.')}" is wrong: it ${describeIssue(issue, spec)}`,
    );
  }
  if (Number(id[0]) !== (parsed.data.priority ?? 5)) {
    throw new CiError(
      'invalid',
      `Cannot submit task as its id does not begin with its priority ${parsed.data.priority ?? 5}: ${quote(id)}`,
    );
  }
  const record = { ...parsed.data, v: FORMAT_VERSION, submitted: now, submitter };
  delete (record as { cancelled?: unknown }).cancelled;
  const bytes = Buffer.byteLength(JSON.stringify(record));
  if (bytes > MAX_TASK_BYTES)
    throw new CiError(
      'too-large',
      `Cannot submit task as its task.json is too large: ${bytes} bytes, at most ${MAX_TASK_BYTES}`,
    );
  return record;
}

function isSubmitted(state: TaskState, record: TaskRecord): boolean {
  const there = state.task?.value ?? state.completed?.value.task;
  return there !== undefined && sameTask(there, record);
}

/** Whether two records come from one submission: equal but for what the cluster adds. */
function sameTask(a: TaskRecord, b: TaskRecord): boolean {
  const bare = (record: TaskRecord) => {
    const { submitted: _submitted, cancelled: _cancelled, ...rest } = record;
    return JSON.stringify(sorted(rest));
  };
  return bare(a) === bare(b);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort()
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
