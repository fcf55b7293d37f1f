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
const DAY = /^\d{4}-\d{2}-\d{2}(?=\/)/;

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

  /** Looks back day by day, to the first one that has a task. */
  async list(limit: number, after: HistoryPlace | undefined, signal: AbortSignal): Promise<readonly FinishedTask[]> {
    const found: FinishedTask[] = [];
    // Nothing is later than tomorrow, whatever place a client says it has come to.
    const tomorrow = this.#cluster.clock.now() + DAY_MS;
    const newest = dayOf(Math.min(after?.finished ?? tomorrow, tomorrow));
    for await (const day of this.#days(newest, signal)) {
      const tasks = await this.#readDay(day, signal);
      found.push(...tasks.filter(task => after === undefined || compare(task, after) > 0));
      if (found.length >= limit) break;
    }
    return found.slice(0, limit);
  }

  /**
   * Days that may have lists, the newest first. A month without any costs one question, so that a cluster that had little to do
   * for years is soon looked through; when it was formed says nothing, as that was by the clock of one machine.
   */
  async *#days(newest: string, signal: AbortSignal): AsyncGenerator<string> {
    const oldest = await this.#firstDay('', signal);
    if (oldest === undefined) return;
    for (let month = monthOf(newest); month >= monthOf(oldest); month = monthBefore(month)) {
      const first = await this.#firstDay(month, signal);
      if (first === undefined) continue;
      for (let day = `${month}-31`; day >= first; day = dayBefore(day)) if (day <= newest) yield day;
    }
  }

  /** The oldest day that has a list, of those that begin so. One question. */
  async #firstDay(beginning: string, signal: AbortSignal): Promise<string | undefined> {
    const { objects, objectKeys } = this.#cluster;
    const days = objectKeys.historyDays;
    for await (const { key } of objects.list(`${days}${beginning}`, { signal })) {
      const [day] = DAY.exec(key.slice(days.length)) ?? [];
      if (day !== undefined) return day;
    }
    return undefined;
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

function monthOf(day: string): string {
  return day.slice(0, 7);
}

function monthBefore(month: string): string {
  return monthOf(dayOf(Date.parse(`${month}-01`) - DAY_MS));
}

/** Also of the 31st of a month that has no such day. */
function dayBefore(day: string): string {
  const [month, number] = [monthOf(day), Number(day.slice(8)) - 1];
  return `${month}-${String(number).padStart(2, '0')}`;
}

function toJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
