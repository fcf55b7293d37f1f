import { resolve } from 'node:path';
import { describeIssue } from '../../shared/describe-issue.ts';
import { CiError } from '../../shared/errors.ts';
import { newTaskId } from '../../shared/ids.ts';
import { DEFAULT_PRIORITY, TaskBody } from '../../shared/task.ts';
import { taskOfCommand } from '../workspace/command-task.ts';
import { findTask } from '../workspace/find-task.ts';
import { findWorkspace, type Workspace } from '../workspace/find-workspace.ts';
import { taskFileWarnings } from '../workspace/task-file-tasks.ts';
import type { ConnectionOptions } from './common-options.ts';
import { connect } from './connect.ts';
import type { CliContext } from './context.ts';
import type { ExitCode } from './exit-codes.ts';
import { listWorkspaceTasks } from './list-workspace-tasks.ts';
import { withOwnPath } from './own-path.ts';
import { beginSnapshot, type SendOptions, sendWorkspace } from './send-workspace.ts';
import { submitAndFollow, workFor } from './submit-and-follow.ts';
import { type TaskOptions, withOptions } from './task-options.ts';

export interface Wanted {
  readonly name: string | undefined;
  readonly command: readonly string[] | undefined;
}

type Options = ConnectionOptions &
  TaskOptions &
  SendOptions & {
    readonly dir: string;
    readonly detach: boolean;
    readonly timestamps: boolean;
    readonly json: boolean;
  };

/** From a folder to an outcome: which task, the snapshot, the submission, the log, the end. */
export async function runTask(context: CliContext, wanted: Wanted, options: Options): Promise<ExitCode> {
  const { environment, clock, chance } = context;
  const workspace = await findWorkspace(resolve(environment.folder, options.dir));
  const body = await chooseTask(context, workspace, wanted);
  if (!body) return listWorkspaceTasks(context, workspace, options.json);
  const task = checkTask(withOptions(body, options, environment.variables));
  const id = newTaskId(task.priority ?? DEFAULT_PRIORITY, clock.now(), () => chance.random());
  await using snapshot = beginSnapshot(context, workspace);
  await using connection = await connect(context, options, workFor(id, task));
  const source = await sendWorkspace(context, connection.client, workspace, snapshot, options);
  const here = connection.isEmbedded ? withOwnPath(task, environment.variables.PATH) : task;
  const { detach, json, timestamps } = options;
  return await submitAndFollow(context, connection, { id, task: { ...here, source }, detach, json, timestamps });
}

/** Undefined when nothing was asked for. */
async function chooseTask(
  context: CliContext,
  workspace: Workspace,
  { name, command }: Wanted,
): Promise<TaskBody | undefined> {
  if (name !== undefined && command !== undefined)
    throw new CiError('invalid', `Cannot run both task "${name}" and the command after --`);
  if (command !== undefined) return taskOfCommand(command, workspace.subdirectory);
  if (name === undefined) return undefined;
  for (const warning of await taskFileWarnings(workspace)) context.terminal.say(`Warning: ${warning}`);
  return findTask(workspace, name);
}

/** The task itself was fine before: what is wrong now was said on the command line. */
function checkTask(task: TaskBody): TaskBody {
  const parsed = TaskBody.safeParse(task);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new CiError(
    'invalid',
    `Cannot run task with these options as ${issue.path.join('.')} ${describeIssue(issue, task)}`,
  );
}
