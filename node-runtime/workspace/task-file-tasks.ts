import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { CiError, isCiError } from '../../shared/errors.ts';
import { formatProblem, type ParsedTaskFile, parseTaskFile } from '../../shared/task-file.ts';
import { MAX_TASK_FILE_BYTES } from '../../shared/task-file/task-file-document.ts';
import type { Workspace } from './find-workspace.ts';
import { oneLine, type WorkspaceTask } from './workspace-task.ts';

/** The tasks of the workspace's own task file. Rejects with `invalid` and all of its problems, one a line. */
export async function taskFileTasks(workspace: Workspace): Promise<WorkspaceTask[]> {
  const parsed = await parsedTaskFile(workspace);
  return [...(parsed?.tasks ?? [])].map(([name, body]) => ({
    name,
    from: 'simple-ci.yaml',
    description: body.steps.length === 1 ? oneLine(body.steps[0]!.run) : `${body.steps.length} steps`,
    body: () => body,
  }));
}

/** What is likely wrong in the task file though it is valid, one sentence each. */
export async function taskFileWarnings(workspace: Workspace): Promise<string[]> {
  const parsed = await parsedTaskFile(workspace);
  return (parsed?.warnings ?? []).map(warning => formatProblem(basename(workspace.taskFile!), warning));
}

async function parsedTaskFile({ taskFile }: Workspace): Promise<(ParsedTaskFile & { ok: true }) | undefined> {
  if (taskFile === undefined) return undefined;
  const name = basename(taskFile);
  const parsed = parseTaskFile(await readText(taskFile, name), { name });
  if (parsed.ok) return parsed;
  const problems = parsed.problems.map(problem => formatProblem(name, problem));
  throw new CiError('invalid', `Cannot use ${name} as it has mistakes:\n${problems.join('\n')}`);
}

/** Nothing but files is opened: a named pipe would be waited for, a device has no end. */
async function readText(taskFile: string, name: string): Promise<string> {
  const refuse = (why: string, cause?: unknown) => new CiError('invalid', `Cannot use ${name} as ${why}`, { cause });
  try {
    const info = await stat(taskFile);
    if (!info.isFile()) throw refuse('it is no file');
    if (info.size > MAX_TASK_FILE_BYTES)
      throw refuse(`it is too large: ${info.size} bytes, at most ${MAX_TASK_FILE_BYTES}`);
    return await readFile(taskFile, 'utf8');
  } catch (error) {
    throw isCiError(error) ? error : refuse('it cannot be read', error);
  }
}
