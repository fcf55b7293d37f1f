import * as vscode from 'vscode';
import type { Clusters } from './clusters.ts';
import type { Program } from './program.ts';
import type { RunCommands } from './run-commands.ts';
import { nameOf, type WantedTask } from './submit-workspace.ts';
import { TaskTerminal } from './task-terminal.ts';
import { listWorkspaceTasks } from './workspace-tasks.ts';

export const TASK_TYPE = 'simple-ci';
const SOURCE = 'Simple CI';
const LIST_MS = 60_000;

export interface TaskProviderOptions {
  readonly clusters: Clusters;
  readonly running: RunCommands;
  readonly findProgram: () => Promise<Program>;
}

/**
 * Tasks of the workspace as tasks of VS Code: `"type": "simple-ci"` with a `task` or a `command`. They run on the cluster, end with the
 * exit codes of `simple-ci run`, and work with problem matchers, `dependsOn` and `preLaunchTask`.
 */
export class ClusterTaskProvider implements vscode.TaskProvider {
  readonly #options: TaskProviderOptions;

  constructor(options: TaskProviderOptions) {
    this.#options = options;
  }

  async provideTasks(cancel: vscode.CancellationToken): Promise<vscode.Task[]> {
    if (!vscode.workspace.isTrusted) return [];
    const found = (vscode.workspace.workspaceFolders ?? []).map(folder => this.#tasksOf(folder, cancel));
    return (await Promise.all(found)).flat();
  }

  resolveTask(task: vscode.Task): vscode.Task | undefined {
    const wanted = wantedOf(task.definition);
    const folder = folderOf(task);
    return wanted && folder && this.#task(task.definition, wanted, folder);
  }

  async #tasksOf(folder: vscode.WorkspaceFolder, cancel: vscode.CancellationToken): Promise<vscode.Task[]> {
    if (folder.uri.scheme !== 'file' || cancel.isCancellationRequested) return [];
    const program = await this.#options.findProgram();
    // A task file that cannot be read is told about when somebody runs it.
    const tasks = await listWorkspaceTasks(program, folder.uri.fsPath, AbortSignal.timeout(LIST_MS)).catch(() => []);
    return tasks
      .filter(({ from }) => from.startsWith('simple-ci.'))
      .map(({ name }) => this.#task({ type: TASK_TYPE, task: name }, { kind: 'named', name }, folder));
  }

  #task(definition: vscode.TaskDefinition, task: WantedTask, folder: vscode.WorkspaceFolder): vscode.Task {
    const { clusters, running } = this.#options;
    const execution = new vscode.CustomExecution(
      async () => new TaskTerminal({ clusters, running, run: { folder: folder.uri, task } }),
    );
    return new vscode.Task(definition, folder, nameOf(task), SOURCE, execution);
  }
}

function wantedOf({ task, command }: vscode.TaskDefinition): WantedTask | undefined {
  if (typeof task === 'string') return { kind: 'named', name: task };
  return typeof command === 'string' ? { kind: 'command', command } : undefined;
}

function folderOf({ scope }: vscode.Task): vscode.WorkspaceFolder | undefined {
  return typeof scope === 'object' ? scope : vscode.workspace.workspaceFolders?.[0];
}
