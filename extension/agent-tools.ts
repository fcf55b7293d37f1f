import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import type { AgentHost, AgentTask } from '../shared/agents/agent-host.ts';
import type { AgentToolName } from '../shared/agents/agent-tools.ts';
import { count, formatBytes } from '../shared/amounts.ts';
import type { Client } from '../shared/client.ts';
import { CiError } from '../shared/errors.ts';
import { signalOf } from './abort.ts';
import type { Clock } from './clock.ts';
import type { Clusters } from './clusters.ts';
import type { Program } from './program.ts';
import type { RunCommands } from './run-commands.ts';
import { listWorkspaceTasks } from './workspace-tasks.ts';

export interface AgentToolsOptions {
  readonly clusters: Clusters;
  readonly running: RunCommands;
  readonly findProgram: () => Promise<Program>;
  readonly clock: Clock;
  /** Whether programs may be started: the user trusts the workspace. */
  readonly mayStart: () => boolean;
}

const NAMES = ['run', 'status', 'failure_log'] as const satisfies readonly AgentToolName[];

/** What a model has given; it is checked before it is used. */
interface ToolInput {
  readonly task?: unknown;
  readonly command?: unknown;
}

/** The tools for language models: run a task, ask how it stands, read why it failed. Running asks the user first. */
export function registerAgentTools(options: AgentToolsOptions): vscode.Disposable[] {
  return NAMES.map(name => vscode.lm.registerTool<ToolInput>(`simple-ci_${name}`, new ClusterTool(name, options)));
}

/** One of them. Whoever calls asks the user what `prepareInvocation` says is to be asked; until he has agreed, nothing of the workspace is looked at. */
export class ClusterTool implements vscode.LanguageModelTool<ToolInput> {
  readonly #name: AgentToolName;
  readonly #options: AgentToolsOptions;

  constructor(name: AgentToolName, options: AgentToolsOptions) {
    this.#name = name;
    this.#options = options;
  }

  prepareInvocation({
    input,
  }: vscode.LanguageModelToolInvocationPrepareOptions<ToolInput>): vscode.PreparedToolInvocation {
    switch (this.#name) {
      case 'run':
        return {
          invocationMessage: l10n.t('Running {0}', wordsOf(input)),
          confirmationMessages: this.#question(input),
        };
      case 'status':
        return { invocationMessage: l10n.t('Asking the cluster for its tasks') };
      case 'failure_log':
        return { invocationMessage: l10n.t('Reading the log of a failure') };
    }
  }

  async invoke(
    { input }: vscode.LanguageModelToolInvocationOptions<ToolInput>,
    cancel: vscode.CancellationToken,
  ): Promise<vscode.LanguageModelToolResult> {
    const { useTool } = await import('../shared/agents/use-tool.ts');
    const { clusters } = this.#options;
    await clusters.ready();
    const { connection } = clusters;
    await connection.reach(l10n.t('Cannot use the cluster'));
    await using client = await connection.client();
    const text = await useTool(this.#name, input, this.#host(client), signalOf(cancel));
    return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(text)]);
  }

  /** What is run is shown as it is: a model has written it. */
  #question(input: ToolInput): vscode.LanguageModelToolConfirmationMessages {
    const { connection } = this.#options.clusters.connection;
    const where = connection.kind === 'none' ? l10n.t('the cluster') : connection.choice.label;
    const message = new vscode.MarkdownString(`${l10n.t('On the files of this workspace as they are now:')}\n`);
    return { title: l10n.t`Run a task on ${where}?`, message: message.appendCodeblock(wordsOf(input), 'sh') };
  }

  #host(client: Client): AgentHost {
    const { clock, findProgram, mayStart } = this.#options;
    return {
      client,
      submit: (task, signal) => this.#submit(task, signal),
      taskNames: async signal => {
        // To look for them is to start a program in the workspace.
        const folder = mayStart() ? currentFolder() : undefined;
        const tasks = folder ? await listWorkspaceTasks(await findProgram(), folder.fsPath, signal) : [];
        return tasks.map(({ name }) => name);
      },
      now: () => clock.now(),
      sleep: (ms, signal) => clock.sleep(ms, signal),
    };
  }

  async #submit(task: AgentTask, signal: AbortSignal) {
    if (!this.#options.mayStart())
      throw new CiError('forbidden', l10n.t('Cannot run a task as the user does not trust this workspace'));
    const folder = currentFolder();
    if (!folder) throw new CiError('invalid', l10n.t('Cannot run a task as no folder is open'));
    const submitted = await this.#options.running.submit({ folder, task }, { say: () => undefined, signal });
    if (!submitted)
      throw new CiError('forbidden', l10n.t('Cannot run the task as the user does not want the files to be sent'));
    const { id, files, bytes } = submitted;
    return { id, sent: `It ran on ${count(files, 'file')} of the workspace, ${formatBytes(bytes)}.` };
  }
}

/** Of several folders the one that is being edited. */
export function currentFolder(): vscode.Uri | undefined {
  const edited = vscode.window.activeTextEditor?.document.uri;
  const folder = edited && vscode.workspace.getWorkspaceFolder(edited);
  return (folder ?? vscode.workspace.workspaceFolders?.[0])?.uri;
}

function wordsOf({ task, command }: ToolInput): string {
  return String(task ?? command ?? l10n.t('a task'));
}
