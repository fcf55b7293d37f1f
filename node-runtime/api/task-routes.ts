import { CiError } from '../../shared/errors.ts';
import { newTaskId, parseTaskId, type TaskId } from '../../shared/ids.ts';
import { DEFAULT_PRIORITY, type TaskRecord, type TaskSpec } from '../../shared/task.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { TasksService } from '../queue/tasks-service.ts';
import type { Handlers } from './handlers.ts';

const DEFAULT_PAGE = 100;

type TaskHandlers = Pick<Handlers, 'submitTask' | 'listTasks' | 'getTask' | 'cancelTask' | 'retryTask'>;

export function taskHandlers({ cluster, tasks }: { cluster: Cluster; tasks: TasksService }): TaskHandlers {
  const idFor = (task: TaskSpec, wanted: string | undefined): TaskId => {
    const { clock, chance } = cluster;
    if (wanted !== undefined) return parseTaskId(wanted);
    return newTaskId(task.priority ?? DEFAULT_PRIORITY, clock.now(), () => chance.random());
  };
  return {
    submitTask: async ({ body, principal, signal }) =>
      tasks.submit(idFor(body.task, body.id), body.task, principal.name, signal),

    listTasks: async ({ query: { state, limit = DEFAULT_PAGE, after }, signal }) =>
      tasks.list({ limit, ...(state && { state }), ...(after !== undefined && { after }) }, signal),

    getTask: async ({ params, signal }) => {
      const id = parseTaskId(params.id);
      return found(id, await tasks.get(id, signal));
    },

    cancelTask: async ({ params, query: { reason }, principal, signal }) => {
      const id = parseTaskId(params.id);
      const who = { by: principal.name, ...(reason !== undefined && { reason }) };
      return found(id, await tasks.cancel(id, who, signal));
    },

    retryTask: async ({ params, body, principal, signal }) => {
      const id = parseTaskId(params.id);
      const task = specOf(found(id, await tasks.get(id, signal)).task);
      return tasks.submit(idFor(task, body.id), task, principal.name, signal);
    },
  };
}

export function found<T>(id: TaskId, value: T | undefined): T {
  if (value !== undefined) return value;
  throw new CiError('not-found', `Cannot find task ${id}: it never was, or retention has removed it`);
}

/** The task as it was submitted, without what the cluster has added. */
function specOf(record: TaskRecord): TaskSpec {
  const { v: _v, submitted: _submitted, submitter: _submitter, cancelled: _cancelled, ...spec } = record;
  return spec as TaskSpec;
}
