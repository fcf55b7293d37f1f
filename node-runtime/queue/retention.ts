import { isCiError } from '../../shared/errors.ts';
import { taskIdTime } from '../../shared/ids.ts';
import { TaskResult } from '../../shared/result.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import { readTogether } from '../store/read-together.ts';
import type { StoreRecord } from '../store/store.ts';
import type { FinishedTask, History } from './history.ts';
import { type CompletedKey, listCompleted } from './list-tasks.ts';
import { parseRecord } from './records.ts';
import { FRESH_ID_MS } from './submit.ts';

export interface RetentionOptions {
  /** Finished tasks stay in the store this long, in milliseconds. Default: 7 days. */
  readonly keepMs?: number;
  /** And at most this many of them, the newest, and those that must stay. Default: 10,000. */
  readonly keepCount?: number;
}

const EVERY_MS = 600_000;
const BATCH = 80;
const KEEP_MS = 7 * 86_400_000;
const KEEP_COUNT = 10_000;
/**
 * However many there are, a finished task stays until this long after its end and after the time in its id: a submission that
 * is repeated under a fresh id must find it in the store. 10 minutes more than an id is fresh, as much as clocks may differ.
 */
const KEEP_AT_LEAST_MS = FRESH_ID_MS + 600_000;

/**
 * Moves old finished tasks from the store to the history, now and then, until the signal fires. Every node does it; what two
 * do at once comes out the same, as a key is deleted only as it was archived.
 */
export async function retain(
  cluster: Cluster,
  history: History,
  options: RetentionOptions,
  onError: (error: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  const { clock, chance } = cluster;
  while (!signal.aborted) {
    await clock.sleep(EVERY_MS * (0.5 + chance.random()), signal).catch(() => undefined);
    if (signal.aborted) return;
    await retainOnce(cluster, history, options, signal).catch(error => {
      if (!signal.aborted) onError(error);
    });
  }
}

/** One pass; returns how many tasks left the store. */
export async function retainOnce(
  cluster: Cluster,
  history: History,
  options: RetentionOptions,
  signal: AbortSignal,
): Promise<number> {
  const { keepMs = KEEP_MS, keepCount = KEEP_COUNT } = options;
  const oldestFirst = (await listCompleted(cluster, signal)).sort((a, b) => a.revision - b.revision);
  const tooMany = Math.max(0, oldestFirst.length - keepCount);
  let moved = 0;
  for (let at = 0; at < oldestFirst.length; at += BATCH) {
    const batch = await readBatch(cluster, oldestFirst.slice(at, at + BATCH), signal);
    // Records that cannot be read say nothing of those behind them.
    if (batch.length === 0) continue;
    const now = cluster.clock.now();
    const old = batch
      .filter(({ result }, index) => at + index < tooMany || result.times.finished < now - keepMs)
      .filter(({ id, result }) => Math.max(result.times.finished, taskIdTime(id)) < now - KEEP_AT_LEAST_MS);
    const newest = batch.at(-1)?.result.times.finished ?? 0;
    // Those behind are younger. One that stays for the time in its id does not keep them.
    if (old.length === 0 && (at + BATCH >= tooMany || newest >= now - KEEP_AT_LEAST_MS)) break;
    await history.archive(old, signal);
    moved += await removeAll(cluster, old, signal);
  }
  return moved;
}

interface Stored extends FinishedTask {
  readonly record: StoreRecord;
}

async function readBatch(cluster: Cluster, wanted: readonly CompletedKey[], signal: AbortSignal): Promise<Stored[]> {
  const [first, ...rest] = wanted.map(({ id }) => cluster.keys.completed(id));
  if (first === undefined) return [];
  const { records } = await readTogether(cluster.store, [first, ...rest], { signal, timeoutMs: CALL_TIMEOUT_MS * 3 });
  return wanted.flatMap(({ id }) => {
    const record = records.get(cluster.keys.completed(id));
    if (!record) return [];
    try {
      return [{ id, record, result: parseRecord(TaskResult, record) }];
    } catch (error) {
      if (isCiError(error)) return []; // A newer release wrote it, and will archive it.
      throw error;
    }
  });
}

async function removeAll(cluster: Cluster, old: readonly Stored[], signal: AbortSignal): Promise<number> {
  const { keys, store } = cluster;
  let removed = 0;
  for (let at = 0; at < old.length; at += 40) {
    const some = old.slice(at, at + 40);
    const result = await store.commit(
      {
        when: some.map(({ id, record }) => ({ key: keys.completed(id), modRevision: record.modRevision })),
        then: some.map(({ id }) => ({ delete: keys.completed(id) })),
      },
      { signal, timeoutMs: CALL_TIMEOUT_MS },
    );
    if (result.kind === 'committed') removed += some.length;
  }
  return removed;
}
