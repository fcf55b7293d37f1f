import type { TaskSummary } from '../../shared/api.ts';
import type { z } from 'zod';
import { CiError } from '../../shared/errors.ts';
import { parseTaskId, quote, type TaskId } from '../../shared/ids.ts';
import { parseTasksKey } from '../../shared/keyspace.ts';
import { LockRecord, TaskResult } from '../../shared/result.ts';
import { TaskRecord } from '../../shared/task.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import { readTogether } from '../store/read-together.ts';
import type { StoreRecord } from '../store/store.ts';
import { parseRecord } from './records.ts';
import { summaryOfResult, summaryOfTask } from './summaries.ts';
import type { HistoryPlace, ListRequest, TaskHistory, TaskPage } from './tasks-service.ts';

/**
 * A page of tasks: first those in `tasks/` in queue order, then the finished ones, newest first, then the history. A cursor
 * names the part it stands in: `t.ID`, `c.REVISION` or `h.MILLISECONDS.ID`.
 */
export async function listTasks(
  cluster: Cluster,
  history: TaskHistory,
  request: ListRequest,
  signal: AbortSignal,
): Promise<TaskPage> {
  const tasks: TaskSummary[] = [];
  let cursor: Cursor | undefined = parseCursor(request);
  while (cursor && tasks.length < request.limit) {
    const page = await readPart(cluster, history, cursor, request, request.limit - tasks.length, signal);
    tasks.push(...page.tasks);
    cursor = page.next;
  }
  return cursor ? { tasks, next: formatCursor(cursor) } : { tasks };
}

type Cursor =
  | { readonly part: 'unfinished'; readonly after?: TaskId }
  | { readonly part: 'finished'; readonly before: number }
  | { readonly part: 'history'; readonly after?: HistoryPlace };

interface Part {
  readonly tasks: TaskSummary[];
  readonly next: Cursor | undefined;
}

function parseCursor({ state, after }: ListRequest): Cursor {
  const first: Cursor =
    state === 'finished' ? { part: 'finished', before: Number.MAX_SAFE_INTEGER } : { part: 'unfinished' };
  if (after === undefined) return first;
  const [part, at = '', id] = after.split('.');
  if (part === 't') return { part: 'unfinished', after: parseTaskId(at) };
  if (part === 'c' && /^\d+$/.test(at)) return { part: 'finished', before: Number(at) };
  if (part === 'h' && at === '') return { part: 'history' };
  if (part === 'h' && /^\d{1,14}$/.test(at))
    return { part: 'history', after: { finished: Number(at), id: parseTaskId(id ?? '') } };
  throw new CiError(
    'invalid',
    `Cannot list tasks as the place to go on from is not one that a list has given: ${quote(after)}`,
  );
}

function formatCursor(cursor: Cursor): string {
  if (cursor.part === 'unfinished') return `t.${cursor.after}`;
  if (cursor.part === 'finished') return `c.${cursor.before}`;
  return cursor.after ? `h.${cursor.after.finished}.${cursor.after.id}` : 'h.';
}

function readPart(
  cluster: Cluster,
  history: TaskHistory,
  cursor: Cursor,
  request: ListRequest,
  limit: number,
  signal: AbortSignal,
): Promise<Part> {
  switch (cursor.part) {
    case 'unfinished':
      return readUnfinished(cluster, cursor.after, request.state, limit, signal);
    case 'finished':
      return readFinished(cluster, cursor.before, limit, signal);
    case 'history':
      return readHistory(history, cursor.after, limit, signal);
  }
}

/** Queued and running tasks. A lock comes straight after its task, so a page that ends on a task may lack its lock: that task waits for the next page. */
async function readUnfinished(
  cluster: Cluster,
  after: TaskId | undefined,
  state: ListRequest['state'],
  limit: number,
  signal: AbortSignal,
): Promise<Part> {
  const { keys, store } = cluster;
  const call = { signal, timeoutMs: CALL_TIMEOUT_MS * 3 };
  // After the lock of the last one, which sorts before any other task.
  const start = after === undefined ? {} : { after: keys.lock(after) };
  const page = await store.range({ prefix: keys.tasks, ...start, limit: 500 }, call);
  const whole = page.more ? page.records.slice(0, startOfLastTask(cluster, page.records)) : page.records;
  const tasks: TaskSummary[] = [];
  let last = after;
  for (const { id, summary } of joinLocks(cluster, whole)) {
    if (tasks.length === limit) return { tasks, next: { part: 'unfinished', ...(last && { after: last }) } };
    if (state === undefined || summary.state === state) tasks.push(summary);
    last = id;
  }
  // Also past tasks that could not be read, or the next page would be this one again.
  last = whole.flatMap(({ key }) => parseTasksKey(keys, key)?.id ?? []).at(-1) ?? last;
  if (page.more) return { tasks, next: { part: 'unfinished', ...(last && { after: last }) } };
  return { tasks, next: state === undefined ? { part: 'finished', before: Number.MAX_SAFE_INTEGER } : undefined };
}

function startOfLastTask(cluster: Cluster, records: readonly StoreRecord[]): number {
  const last = parseTasksKey(cluster.keys, records.at(-1)?.key ?? '');
  return last?.kind === 'lock' ? records.length : records.length - 1;
}

/** Tasks with their locks, out of records in key order. Records that are no tasks of this release are passed over. */
export function* joinLocks(
  cluster: Cluster,
  records: readonly StoreRecord[],
): Generator<{ id: TaskId; summary: TaskSummary }> {
  for (const [at, record] of records.entries()) {
    const parsed = parseTasksKey(cluster.keys, record.key);
    if (parsed?.kind !== 'task') continue;
    const next = records[at + 1];
    const lock = next?.key === cluster.keys.lock(parsed.id) ? readable(LockRecord, next) : undefined;
    const task = readable(TaskRecord, record);
    if (task) yield { id: parsed.id, summary: summaryOfTask(parsed.id, task, lock) };
  }
}

function readable<T extends z.ZodType>(schema: T, record: StoreRecord): z.infer<T> | undefined {
  try {
    return parseRecord(schema, record);
  } catch {
    return undefined;
  }
}

/** Finished tasks by the revision that completed them, newest first: the keys are listed without their values, then a page of values read. */
async function readFinished(cluster: Cluster, before: number, limit: number, signal: AbortSignal): Promise<Part> {
  const order = (await listCompleted(cluster, signal))
    .filter(({ revision }) => revision < before)
    .sort((a, b) => b.revision - a.revision);
  const wanted = order.slice(0, Math.min(limit, 80));
  const tasks = await readResults(cluster, wanted, signal);
  const last = wanted.at(-1);
  if (last && order.length > wanted.length) return { tasks, next: { part: 'finished', before: last.revision } };
  return { tasks, next: { part: 'history' } };
}

export interface CompletedKey {
  readonly id: TaskId;
  readonly revision: number;
}

/** The ids of all finished tasks that are still in the store, with the revisions that completed them. */
export async function listCompleted(cluster: Cluster, signal: AbortSignal): Promise<CompletedKey[]> {
  const { keys, store } = cluster;
  const call = { signal, timeoutMs: CALL_TIMEOUT_MS * 3 };
  const found: CompletedKey[] = [];
  let after: string | undefined;
  let revision: number | undefined;
  for (let more = true; more; ) {
    const at = { ...(after !== undefined && { after }), ...(revision !== undefined && { revision }) };
    const page = await store.range({ prefix: keys.completedTasks, limit: 2000, keysOnly: true, ...at }, call);
    for (const record of page.records) {
      found.push({ id: parseTaskId(record.key.slice(keys.completedTasks.length)), revision: record.createRevision });
    }
    revision = page.revision;
    after = page.records.at(-1)?.key;
    more = page.more;
  }
  return found;
}

/** Summaries of at most 80 finished tasks, in the order given; those that retention took meanwhile are left out. */
export async function readResults(
  cluster: Cluster,
  wanted: readonly CompletedKey[],
  signal: AbortSignal,
): Promise<TaskSummary[]> {
  const [first, ...rest] = wanted.map(({ id }) => cluster.keys.completed(id));
  if (first === undefined) return [];
  const { records } = await readTogether(cluster.store, [first, ...rest], { signal, timeoutMs: CALL_TIMEOUT_MS * 3 });
  return wanted.flatMap(({ id }) => {
    const record = records.get(cluster.keys.completed(id));
    const result = record && readable(TaskResult, record);
    return result ? [summaryOfResult(id, result)] : [];
  });
}

async function readHistory(
  history: TaskHistory,
  after: HistoryPlace | undefined,
  limit: number,
  signal: AbortSignal,
): Promise<Part> {
  const found = await history.list(limit, after, signal);
  const tasks = found.map(({ id, result }) => summaryOfResult(id, result));
  const last = found.at(-1);
  const more = found.length === limit && last !== undefined;
  return {
    tasks,
    next: more ? { part: 'history', after: { id: last.id, finished: last.result.times.finished } } : undefined,
  };
}
