import { createHash } from 'node:crypto';
import { z } from 'zod';
import { isCiError } from '../../shared/errors.ts';
import { parseTaskId, type TaskId } from '../../shared/ids.ts';
import { TaskResult } from '../../shared/result.ts';
import { FORMAT_VERSION } from '../../shared/task.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { getBytes } from '../objects/collect.ts';
import { checkRecord, parseRecord } from './records.ts';
import type { HistoryPlace, TaskHistory } from './tasks-service.ts';

/** One list of a day: written once, never changed. */
const DayList = z.looseObject({
  v: z.int().min(1),
  tasks: z.array(z.looseObject({ id: z.string(), result: z.unknown() })),
});

export interface FinishedTask {
  readonly id: TaskId;
  readonly result: TaskResult;
}

const DAY_MS = 86_400_000;

/**
 * Finished tasks that have left the store: each an object by its id, and lists by the day on which they finished. Two nodes
 * may archive the same task; it is the same record, and shown once.
 */
export class History implements TaskHistory {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  async get(id: TaskId, signal: AbortSignal): Promise<TaskResult | undefined> {
    const key = this.#cluster.objectKeys.finished(id);
    const bytes = await getBytes(this.#cluster.objects, key, { signal });
    return bytes && parseRecord(TaskResult, { key, value: bytes.toString() });
  }

  /** Looks back day by day, as far as the cluster is old. */
  async list(limit: number, after: HistoryPlace | undefined, signal: AbortSignal): Promise<readonly FinishedTask[]> {
    const found: FinishedTask[] = [];
    const oldest = await this.#created(signal);
    const newest = after?.finished ?? this.#cluster.clock.now() + DAY_MS;
    for (let day = newest; day >= oldest - DAY_MS && found.length < limit; day -= DAY_MS) {
      const tasks = await this.#readDay(dayOf(day), signal);
      found.push(...tasks.filter(task => after === undefined || compare(task, after) > 0));
    }
    return found.slice(0, limit);
  }

  /** Stores tasks so that they are found again; after it they may leave the store. Safe to repeat. */
  async archive(tasks: readonly FinishedTask[], signal: AbortSignal): Promise<void> {
    const { objects, objectKeys } = this.#cluster;
    for (const { id, result } of tasks) await objects.put(objectKeys.finished(id), toJson(result), { signal });
    for (const [day, list] of Map.groupBy(tasks, ({ result }) => dayOf(result.times.finished))) {
      const name = createHash('sha256')
        .update(list.map(({ id }) => id).join())
        .digest('hex')
        .slice(0, 24);
      await objects.put(`${objectKeys.historyDay(day)}${name}.json`, toJson({ v: FORMAT_VERSION, tasks: list }), {
        signal,
      });
    }
  }

  async #readDay(day: string, signal: AbortSignal): Promise<FinishedTask[]> {
    const { objects, objectKeys } = this.#cluster;
    const found = new Map<string, FinishedTask>();
    for await (const { key } of objects.list(objectKeys.historyDay(day), { signal })) {
      const bytes = await getBytes(objects, key, { signal });
      if (!bytes) continue;
      const list = readable(() => parseRecord(DayList, { key, value: bytes.toString() }));
      for (const { id, result } of list?.tasks ?? []) {
        const task = readable(() => ({ id: parseTaskId(id), result: checkRecord(TaskResult, key, result) }));
        if (task) found.set(id, task);
      }
    }
    return [...found.values()].sort((a, b) => compare(a, placeOf(b)));
  }

  async #created(signal: AbortSignal): Promise<number> {
    const { store, keys, clock } = this.#cluster;
    const record = (await store.range({ key: keys.cluster, limit: 1 }, { signal, timeoutMs: 3000 })).records[0];
    return record ? (JSON.parse(record.value) as { created: number }).created : clock.now();
  }
}

/** Undefined for what is damaged, or of a newer release: it keeps nothing else from being listed. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isCiError(error)) return undefined;
    throw error;
  }
}

function placeOf({ id, result }: FinishedTask): HistoryPlace {
  return { id, finished: result.times.finished };
}

/** Positive for a task that comes after the place: one that finished earlier. */
function compare({ id, result }: FinishedTask, place: HistoryPlace): number {
  return place.finished - result.times.finished || (id < place.id ? 1 : id > place.id ? -1 : 0);
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function toJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
