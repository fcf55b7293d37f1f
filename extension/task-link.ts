import { CiError } from '../shared/errors.ts';
import { parseTaskId, quote, type TaskId } from '../shared/ids.ts';

/** What a link to a task means. It opens something and never runs anything. */
export interface TaskLink {
  readonly task: TaskId;
  /** The cluster that the task is on, as it calls itself. */
  readonly cluster: string;
}

/** `vscode://simple-ci.simple-ci/task/ID?cluster=acme%2Fci` */
export function taskLinkText(
  scheme: string,
  { task, cluster }: { readonly task: string; readonly cluster: string },
): string {
  return `${scheme}://simple-ci.simple-ci/task/${task}?cluster=${encodeURIComponent(cluster)}`;
}

/** Anybody can make a link: what is not exactly one of ours is refused. */
export function parseTaskLink({ path, query }: { readonly path: string; readonly query: string }): TaskLink {
  const [, task] = /^\/task\/([0-9a-z]+)$/.exec(path) ?? [];
  const cluster = new URLSearchParams(query).get('cluster');
  if (task === undefined || cluster === null)
    throw new CiError(
      'invalid',
      `Cannot open link as it does not name a task and its cluster: ${quote(`${path}?${query}`)}`,
    );
  return { task: parseTaskId(task), cluster };
}
