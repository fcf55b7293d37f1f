import type { TaskBody } from '../../shared/task.ts';

/** On the user's own machine a command finds the programs that the user finds. */
export function withOwnPath(task: TaskBody, path: string | undefined): TaskBody {
  return path === undefined ? task : { ...task, env: { PATH: path, ...task.env } };
}
