import { describeIssue } from '../../shared/describe-issue.ts';
import { CiError } from '../../shared/errors.ts';
import { type TaskId, quote, taskIdTime } from '../../shared/ids.ts';
import { CONTAINER_LABEL } from '../../shared/container-label.ts';
import { FORMAT_VERSION, MAX_LABELS, MAX_TASK_BYTES, type TaskRecord, TaskSpec } from '../../shared/task.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import { readTaskState, type TaskState, taskStateOf } from './records.ts';
import type { TaskHistory } from './tasks-service.ts';

/** How far from now its id may have been made. */
const SUBMIT_WINDOW_MS = 24 * 3_600_000;
/** Up to this far from now, a task that was submitted before is certainly in the store: retention keeps it for longer. */
export const FRESH_ID_MS = 300_000;

/**
 * SUBMIT: puts a task into the queue. The id is the idempotency key: the same task submitted again under its id, also after
 * it has finished, changes nothing and succeeds; another task under that id is refused. Only for an id that is not fresh
 * the history is asked too.
 */
export async function submitTask(
  cluster: Cluster,
  history: Pick<TaskHistory, 'get'>,
  id: TaskId,
  spec: unknown,
  submitter: string,
  signal: AbortSignal,
): Promise<void> {
  const record = makeRecord(cluster, id, spec, submitter);
  const earlier = isFresh(cluster, id) ? undefined : await findEarlier(cluster, history, id, signal);
  if (earlier) return requireSame(id, earlier, record);
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
  const there = submittedOf(state);
  if (!there && result.kind === 'ambiguous') throw result.cause;
  requireSame(id, there, record);
}

function isFresh({ clock }: Cluster, id: TaskId): boolean {
  return Math.abs(clock.now() - taskIdTime(id)) <= FRESH_ID_MS;
}

/** The task that has this id already. What leaves the store is in the history before: so that is looked at second. */
async function findEarlier(
  cluster: Cluster,
  history: Pick<TaskHistory, 'get'>,
  id: TaskId,
  signal: AbortSignal,
): Promise<TaskRecord | undefined> {
  const there = submittedOf(await readTaskState(cluster, id, signal));
  return there ?? (await history.get(id, signal))?.task;
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
  const record = { ...parsed.data, ...withContainer(parsed.data), v: FORMAT_VERSION, submitted: now, submitter };
  delete (record as { cancelled?: unknown }).cancelled;
  const bytes = Buffer.byteLength(JSON.stringify(record));
  if (bytes > MAX_TASK_BYTES)
    throw new CiError(
      'too-large',
      `Cannot submit task as its task.json is too large: ${bytes} bytes, at most ${MAX_TASK_BYTES}`,
    );
  return record;
}

/** Written down as a label, so that nodes which know nothing of images leave the task to others. */
function withContainer({ image, labels = [] }: TaskSpec): Pick<TaskSpec, 'labels'> {
  if (image === undefined || labels.includes(CONTAINER_LABEL)) return {};
  if (labels.length === MAX_LABELS)
    throw new CiError('invalid', `Cannot submit task as with "image" it may have ${MAX_LABELS - 1} labels at most`);
  return { labels: [...labels, CONTAINER_LABEL] };
}

function submittedOf({ task, completed }: TaskState): TaskRecord | undefined {
  return task?.value ?? completed?.value.task;
}

function requireSame(id: TaskId, there: TaskRecord | undefined, record: TaskRecord): void {
  if (!there || !sameTask(there, record))
    throw new CiError('conflict', `Cannot submit task as its id belongs to another task: ${id}`);
}

/**
 * Whether a record comes from the same submission as ours: equal but for what the cluster adds, and for what this release does
 * not know and the submission does not have: a newer one that shares the cluster may have added it.
 */
function sameTask(there: TaskRecord, ours: TaskRecord): boolean {
  const wanted = [...Object.keys(TaskSpec.shape), ...Object.keys(ours)].filter(key => !ADDED.has(key));
  const bare = (record: TaskRecord) => JSON.stringify(wanted.map(key => sorted(record[key])));
  return bare(there) === bare(ours);
}

/** When it was submitted, and what has been asked of it since. */
const ADDED: ReadonlySet<string> = new Set(['submitted', 'cancelled']);

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort()
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
