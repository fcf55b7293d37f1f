import { describeIssue } from '../../shared/describe-issue.ts';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { nearest } from '../../shared/nearest.ts';
import { TaskBody } from '../../shared/task.ts';
import type { Workspace } from './find-workspace.ts';
import { makeTasks } from './make-tasks.ts';
import { npmTasks } from './npm-tasks.ts';
import { taskFileTasks } from './task-file-tasks.ts';
import { vscodeTasks } from './vscode-tasks.ts';
import type { TaskOrigin, WorkspaceTask } from './workspace-task.ts';

export interface ListedTask {
  readonly name: string;
  readonly from: TaskOrigin;
  readonly description: string;
}

/** Where tasks are looked for, first to last: a name that stands in two of them means the first. */
const SOURCES = [taskFileTasks, npmTasks, makeTasks, vscodeTasks];

/** All tasks that `simple-ci run NAME` knows here. Rejects with `invalid` for a file that cannot be understood. */
export async function listTasks(workspace: Workspace): Promise<ListedTask[]> {
  const tasks = await allTasks(workspace);
  return tasks.map(({ name, from, description }) => ({ name, from, description }));
}

/** The task of this name. Rejects with `not-found`, telling what there is; with `invalid` for one that cannot run on a node. */
export async function findTask(workspace: Workspace, name: string): Promise<TaskBody> {
  for (const source of SOURCES) {
    const task = (await source(workspace)).find(candidate => candidate.name === name);
    if (task) return checked(task);
  }
  throw unknownTask(workspace, name, await allTasks(workspace));
}

async function allTasks(workspace: Workspace): Promise<WorkspaceTask[]> {
  const tasks = new Map<string, WorkspaceTask>();
  for (const source of SOURCES)
    for (const task of await source(workspace)) if (!tasks.has(task.name)) tasks.set(task.name, task);
  return [...tasks.values()];
}

function checked(task: WorkspaceTask): TaskBody {
  const body = task.body();
  const parsed = TaskBody.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new CiError(
    'invalid',
    `Cannot run task ${quote(task.name)} of ${task.from} as its ${issue.path.join('.')} ${describeIssue(issue, body)}`,
  );
}

function unknownTask(workspace: Workspace, name: string, tasks: readonly WorkspaceTask[]): CiError {
  const names = tasks.map(task => task.name);
  const meant = nearest(name, names);
  const hint = meant === undefined ? '' : `: did you mean ${quote(meant)}?`;
  const shown = names.length > 30 ? `${names.slice(0, 30).join(', ')} and ${names.length - 30} more` : names.join(', ');
  const known = names.length === 0 ? 'there are no tasks' : `there is ${shown}`;
  return new CiError('not-found', `Cannot find task ${quote(name)} in ${quote(workspace.root)} as ${known}${hint}`);
}
