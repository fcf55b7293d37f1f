import type { TaskSummary, TaskView } from '../../shared/api.ts';
import type { TaskId } from '../../shared/ids.ts';
import type { TaskResult } from '../../shared/result.ts';
import type { TaskSpec } from '../../shared/task.ts';
import type { Canceller } from './cancel.ts';

/** What the API can do with tasks. Rejects with CiErrors; a call that its signal ends rejects with the signal's reason. */
export interface TasksService {
  /** Safe to repeat under the same id. Rejects with `invalid`, `too-large` or `conflict` (another task has that id). */
  submit(id: TaskId, task: TaskSpec, submitter: string, signal: AbortSignal): Promise<TaskView>;
  /** Undefined for a task that never was, or that retention has removed. */
  get(id: TaskId, signal: AbortSignal): Promise<TaskView | undefined>;
  /** Queued tasks in queue order, finished ones newest first. `next` goes into `after` of the next page. */
  list(request: ListRequest, signal: AbortSignal): Promise<TaskPage>;
  /** Asks for the task to stop; one that is finished stays as it is. Undefined for a task that is not there. */
  cancel(id: TaskId, who: Canceller, signal: AbortSignal): Promise<TaskView | undefined>;
  /** Begins with a snapshot; another one replaces all that was said before. Ends quietly by its signal. */
  watch(signal: AbortSignal): AsyncIterable<TasksEvent>;
}

export interface ListRequest {
  readonly state?: 'queued' | 'running' | 'finished';
  readonly limit: number;
  readonly after?: string;
}

export interface TaskPage {
  readonly tasks: TaskSummary[];
  readonly next?: string;
}

export type TasksEvent =
  | { readonly kind: 'snapshot'; readonly tasks: readonly TaskSummary[] }
  | { readonly kind: 'changed'; readonly task: TaskSummary }
  | { readonly kind: 'gone'; readonly id: TaskId };

/** Finished tasks that have left the store. */
export interface TaskHistory {
  get(id: TaskId, signal: AbortSignal): Promise<TaskResult | undefined>;
  /** Newest first, only those that come after `after` in that order. */
  list(
    limit: number,
    after: HistoryPlace | undefined,
    signal: AbortSignal,
  ): Promise<readonly { id: TaskId; result: TaskResult }[]>;
}

/** A place in the history: of tasks that finished in the same millisecond, the larger id comes first. */
export interface HistoryPlace {
  /** Milliseconds since 1970. */
  readonly finished: number;
  readonly id: TaskId;
}
