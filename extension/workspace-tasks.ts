import * as l10n from '@vscode/l10n';
import { CiError } from '../shared/errors.ts';
import type { Program } from './program.ts';
import { runProgram } from './run-program.ts';

/** A task that some file of a workspace names. */
export interface WorkspaceTask {
  readonly name: string;
  /** The file. */
  readonly from: string;
  readonly description: string;
}

/** What `simple-ci run` would find in the folder. */
export async function listWorkspaceTasks(
  program: Program,
  folder: string,
  signal: AbortSignal,
): Promise<readonly WorkspaceTask[]> {
  let tasks: readonly WorkspaceTask[] = [];
  const { code, said } = await runProgram(
    program,
    { args: ['run', '--json'], cwd: folder },
    line => {
      if (Array.isArray(line.tasks)) tasks = line.tasks as WorkspaceTask[];
    },
    signal,
  );
  if (code !== 0) throw new CiError('invalid', said || l10n.t('simple-ci ended with {0}', String(code)));
  return tasks;
}
