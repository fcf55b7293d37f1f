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
import { openFolders, type OpenFolders } from './open-folders.ts';
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
  readonly folders?: () => OpenFolders;
}

/** More that was asked and never answered is not remembered. */
const MOST_ASKED = 20;

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
  /** By what is to be run, the folder whose files the user was asked for: while he thinks, another file may be opened. */
  readonly #asked = new Map<string, vscode.Uri>();

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
    const folder = this.#folderOf(input);
    const { useTool } = await import('../shared/agents/use-tool.ts');
    const { clusters } = this.#options;
    await clusters.ready();
    const { connection } = clusters;
    const signal = signalOf(cancel);
    await connection.reach(l10n.t('Cannot use the cluster'), signal);
    await using client = await connection.client();
    const text = await useTool(this.#name, input, this.#host(client, folder), signal);
    return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(text)]);
  }

  /** What is run is shown as it is: a model has written it. So is the folder, where there are several. */
  #question(input: ToolInput): vscode.LanguageModelToolConfirmationMessages {
    const { connection } = this.#options.clusters.connection;
    const where = connection.kind === 'none' ? l10n.t('the cluster') : connection.choice.label;
    const { all, current } = this.#folders();
    this.#remember(input, current);
    const message = new vscode.MarkdownString();
    if (all.length > 1 && current)
      message
        .appendMarkdown(`${l10n.t('On the files of this folder as they are now:')}\n`)
        .appendCodeblock(current.fsPath, 'text')
        .appendMarkdown(`${l10n.t('this is run:')}\n`);
    else message.appendMarkdown(`${l10n.t('On the files of this workspace as they are now:')}\n`);
    return { title: l10n.t`Run a task on ${where}?`, message: message.appendCodeblock(wordsOf(input), 'sh') };
  }

  #folders(): OpenFolders {
    return (this.#options.folders ?? openFolders)();
  }

  /** The last one becomes the newest: not everything that is asked is answered, and what is oldest is forgotten. */
  #remember(input: ToolInput, folder: vscode.Uri | undefined): void {
    const key = JSON.stringify(input);
    this.#asked.delete(key);
    if (folder) this.#asked.set(key, folder);
    const [oldest] = this.#asked.keys();
    if (this.#asked.size > MOST_ASKED && oldest !== undefined) this.#asked.delete(oldest);
  }

  /** The one that the user has agreed to; where he was not asked, the one that is meant now. */
  #folderOf(input: ToolInput): vscode.Uri | undefined {
    const key = JSON.stringify(input);
    const asked = this.#asked.get(key);
    this.#asked.delete(key);
    return asked ?? this.#folders().current;
  }

  #host(client: Client, folder: vscode.Uri | undefined): AgentHost {
    const { clock, findProgram, mayStart } = this.#options;
    return {
      client,
      submit: (task, signal) => this.#submit(task, folder, signal),
      taskNames: async signal => {
        // To look for them is to start a program in the workspace.
        const tasks = folder && mayStart() ? await listWorkspaceTasks(await findProgram(), folder.fsPath, signal) : [];
        return tasks.map(({ name }) => name);
      },
      now: () => clock.now(),
      sleep: (ms, signal) => clock.sleep(ms, signal),
    };
  }

  async #submit(task: AgentTask, folder: vscode.Uri | undefined, signal: AbortSignal) {
    if (!this.#options.mayStart())
      throw new CiError('forbidden', l10n.t('Cannot run a task as the user does not trust this workspace'));
    if (!folder) throw new CiError('invalid', l10n.t('Cannot run a task as no folder is open'));
    const submitted = await this.#options.running.submit({ folder, task }, { say: () => undefined, signal });
    if (!submitted)
      throw new CiError('forbidden', l10n.t('Cannot run the task as the user does not want the files to be sent'));
    const { id, files, bytes } = submitted;
    return { id, sent: `It ran on ${count(files, 'file')} of the workspace, ${formatBytes(bytes)}.` };
  }
}

function wordsOf({ task, command }: ToolInput): string {
  return String(task ?? command ?? l10n.t('a task'));
}
