import type { z } from 'zod';
import { describeIssue } from '../../shared/describe-issue.ts';
import { CiError } from '../../shared/errors.ts';
import type { Fence, TaskId } from '../../shared/ids.ts';
import { quote } from '../../shared/ids.ts';
import { AttemptsRecord, LockRecord, TaskResult } from '../../shared/result.ts';
import { FORMAT_VERSION, TaskRecord } from '../../shared/task.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { CALL_TIMEOUT_MS } from '../cluster/cluster.ts';
import { readTogether } from '../store/read-together.ts';
import type { LeaseId, StoreRecord } from '../store/store.ts';

/** A record of the store together with the revision that wrote it, which a transaction can compare. */
export interface Seen<T> {
  readonly value: T;
  readonly revision: number;
}

/** Everything the store has about one task, at one revision. */
export interface TaskState {
  readonly revision: number;
  readonly task?: Seen<TaskRecord>;
  /** `revision` is the fence. */
  readonly lock?: Seen<LockRecord>;
  readonly attempts?: Seen<AttemptsRecord>;
  readonly completed?: Seen<TaskResult>;
}

export async function readTaskState(cluster: Cluster, id: TaskId, signal: AbortSignal): Promise<TaskState> {
  const { keys, store } = cluster;
  const wanted = [keys.task(id), keys.lock(id), keys.attempts(id), keys.completed(id)] as const;
  const { revision, records } = await readTogether(store, [...wanted], { signal, timeoutMs: CALL_TIMEOUT_MS });
  return taskState(wanted, revision, records);
}

/** The same, out of the records that a refused transaction has read. */
export function taskStateOf(
  cluster: Cluster,
  id: TaskId,
  revision: number,
  records: ReadonlyMap<string, StoreRecord>,
): TaskState {
  const { keys } = cluster;
  return taskState([keys.task(id), keys.lock(id), keys.attempts(id), keys.completed(id)], revision, records);
}

function taskState(
  wanted: readonly [string, string, string, string],
  revision: number,
  records: ReadonlyMap<string, StoreRecord>,
): TaskState {
  const task = records.get(wanted[0]);
  const lock = records.get(wanted[1]);
  const attempts = records.get(wanted[2]);
  const completed = records.get(wanted[3]);
  return {
    revision,
    ...(task && { task: { value: parseRecord(TaskRecord, task), revision: task.modRevision } }),
    ...(lock && { lock: { value: parseRecord(LockRecord, lock), revision: lock.createRevision } }),
    ...(attempts && { attempts: { value: parseRecord(AttemptsRecord, attempts), revision: attempts.modRevision } }),
    ...(completed && { completed: { value: parseRecord(TaskResult, completed), revision: completed.createRevision } }),
  };
}

/** Reads what some release wrote: unknown fields pass through, a newer format is refused by name. */
export function parseRecord<T extends z.ZodType>(schema: T, record: Pick<StoreRecord, 'key' | 'value'>): z.infer<T> {
  let json: unknown;
  try {
    json = JSON.parse(record.value);
  } catch (error) {
    throw new CiError('invalid', `Cannot read ${record.key} as it is not JSON: ${quote(record.value)}`, {
      cause: error,
    });
  }
  return checkRecord(schema, record.key, json);
}

/** The same for what has been parsed already; `key` is where it was found. */
export function checkRecord<T extends z.ZodType>(schema: T, key: string, json: unknown): z.infer<T> {
  const version = (json as { v?: unknown } | null)?.v;
  if (typeof version === 'number' && version > FORMAT_VERSION) {
    throw new CiError(
      'newer-format',
      `Cannot read ${key} as a newer release wrote it: format ${version}, this release knows ${FORMAT_VERSION}`,
    );
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const what = issue.path.length === 0 ? 'the record' : `"${issue.path.join('.')}"`;
  throw new CiError('invalid', `Cannot read ${key} as ${what} is wrong: it ${describeIssue(issue, json)}`);
}

/** What a claim gives: the right to run one attempt of a task and to complete it, as long as the lock lives. */
export interface Claim {
  readonly id: TaskId;
  readonly task: TaskRecord;
  /** Of the task.json that was claimed. A change since then is a request to cancel. */
  readonly taskRevision: number;
  readonly fence: Fence;
  /** That the lock stands under: it lives as long as this is renewed. */
  readonly lease: LeaseId;
  readonly lock: LockRecord;
  /** As the claim wrote it: this attempt is its `open` one. */
  readonly attempts: AttemptsRecord;
}
