import type { TaskView } from '../../shared/api.ts';
import type { TaskId } from '../../shared/ids.ts';
import type { TaskSpec } from '../../shared/task.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { type Canceller, cancelTask } from './cancel.ts';
import { listTasks } from './list-tasks.ts';
import { readTaskState } from './records.ts';
import { submitTask } from './submit.ts';
import { finishedView, viewOf } from './summaries.ts';
import { TaskFeed } from './task-feed.ts';
import type { ListRequest, TaskHistory, TaskPage, TasksEvent, TasksService } from './tasks-service.ts';

/** The tasks of a cluster, out of its store and its history. */
export class Tasks implements TasksService {
  readonly #cluster: Cluster;
  readonly #history: TaskHistory;
  readonly #feed: TaskFeed;

  constructor(cluster: Cluster, history: TaskHistory) {
    this.#cluster = cluster;
    this.#history = history;
    this.#feed = new TaskFeed(cluster);
  }

  async submit(id: TaskId, task: TaskSpec, submitter: string, signal: AbortSignal): Promise<TaskView> {
    await submitTask(this.#cluster, this.#history, id, task, submitter, signal);
    const view = await this.get(id, signal);
    if (!view) throw new Error(`Task ${id} was submitted and is not there`);
    return view;
  }

  async get(id: TaskId, signal: AbortSignal): Promise<TaskView | undefined> {
    const view = viewOf(id, await readTaskState(this.#cluster, id, signal));
    if (view) return view;
    const result = await this.#history.get(id, signal);
    return result && finishedView(id, result);
  }

  list(request: ListRequest, signal: AbortSignal): Promise<TaskPage> {
    return listTasks(this.#cluster, this.#history, request, signal);
  }

  async cancel(id: TaskId, who: Canceller, signal: AbortSignal): Promise<TaskView | undefined> {
    await cancelTask(this.#cluster, id, who, signal);
    return this.get(id, signal);
  }

  watch(signal: AbortSignal): AsyncIterable<TasksEvent> {
    return this.#feed.follow(signal);
  }
}
