import { relative } from 'node:path';
import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import type { Client } from '../shared/client.ts';
import { isCiError } from '../shared/errors.ts';
import type { Clock } from './clock.ts';
import type { Clusters } from './clusters.ts';
import { checkTrust } from './connect-commands.ts';
import type { LogPanels } from './log-panels.ts';
import { onSaveText } from './on-save-text.ts';
import { openFolders } from './open-folders.ts';
import { plainLabel } from './plain-message.ts';
import { askUser, type RunCommands } from './run-commands.ts';
import { isSent, RunOnSave, type RunOnSaveEvent } from './run-on-save.ts';
import { nameOf, type Question, type WantedTask } from './submit-workspace.ts';
import type { TaskPicker, WorkspaceRun } from './task-picker.ts';

export interface SaveRunsOptions {
  readonly clusters: Clusters;
  readonly clock: Clock;
  readonly running: RunCommands;
  readonly picker: TaskPicker;
  readonly panels: LogPanels;
  /** Of the workspace. */
  readonly memory: vscode.Memento;
  readonly note: (text: string) => void;
  readonly onRun: (task: string) => void;
}

const ON_SAVE = 'runOnSave';
const MESSAGE_MS = 6000;

/** Tasks that run whenever a file of their folder is saved: at most one for each folder, chosen by the user for this workspace. */
export class SaveRuns implements vscode.Disposable {
  readonly #options: SaveRunsOptions;
  readonly #item = vscode.window.createStatusBarItem('simple-ci.runOnSave', vscode.StatusBarAlignment.Left, 9);
  readonly #active = new Map<string, { readonly task: WantedTask; readonly onSave: RunOnSave }>();
  readonly #listening: readonly vscode.Disposable[];
  #problem: { readonly folder: string; readonly text: string } | undefined;

  constructor(options: SaveRunsOptions) {
    this.#options = options;
    this.#item.name = l10n.t('Simple CI: Run on Save');
    this.#item.command = 'simple-ci.toggleRunOnSave';
    this.#listening = [
      vscode.workspace.onDidSaveTextDocument(document => this.#saved(document)),
      vscode.workspace.onDidChangeWorkspaceFolders(() => this.#show()),
    ];
    const chosen = options.memory.get<Record<string, WantedTask>>(ON_SAVE, {});
    for (const [folder, task] of Object.entries(chosen)) this.#begin(folder, task);
    this.#show();
  }

  /** On for a folder and a task that are asked for, or off. */
  async toggle(): Promise<void> {
    const { running, picker } = this.#options;
    if (!(await checkTrust())) return;
    const folder = await picker.pickFolder();
    if (!folder) return;
    if (this.#active.has(folder.toString())) return this.#end(folder.toString());
    const task = await picker.pickTask(folder, l10n.t('Run which task on each save?'));
    if (!task || !(await running.mayRun())) return;
    this.#begin(folder.toString(), task);
    await this.#remember();
  }

  dispose(): void {
    for (const listener of this.#listening) listener.dispose();
    for (const { onSave } of this.#active.values()) void onSave[Symbol.asyncDispose]();
    this.#item.dispose();
  }

  #saved({ uri }: vscode.TextDocument): void {
    const folder = vscode.workspace.getWorkspaceFolder(uri);
    if (folder && vscode.workspace.isTrusted && isSent(relative(folder.uri.fsPath, uri.fsPath)))
      this.#active.get(folder.uri.toString())?.onSave.saved();
  }

  #begin(folder: string, task: WantedTask): void {
    const run = { folder: vscode.Uri.parse(folder), task };
    const answers = new Map<Question['kind'], boolean>();
    const onSave = new RunOnSave({
      clock: this.#options.clock,
      submit: signal => this.#submit(run, answers, signal),
      cancel: (id, signal) => this.#cancel(id, signal),
      happened: event => void this.#happened(folder, task, event),
    });
    this.#active.set(folder, { task, onSave });
    this.#show();
  }

  async #end(folder: string): Promise<void> {
    const ended = this.#active.get(folder);
    this.#active.delete(folder);
    this.#problem = undefined;
    this.#show();
    await this.#remember();
    await ended?.onSave[Symbol.asyncDispose]();
  }

  async #remember(): Promise<void> {
    const chosen = [...this.#active].map(([folder, { task }]) => [folder, task]);
    await this.#options.memory.update(ON_SAVE, Object.fromEntries(chosen));
  }

  /** What was asked once is not asked at the next save. */
  async #submit(run: WorkspaceRun, answers: Map<Question['kind'], boolean>, signal: AbortSignal) {
    const ask = async (question: Question) => {
      const answer = answers.get(question.kind) ?? (await askUser(question));
      answers.set(question.kind, answer);
      return answer;
    };
    const location = vscode.ProgressLocation.Window;
    const title = `$(save) ${plainLabel(nameOf(run.task))}`;
    return vscode.window.withProgress({ location, title }, progress =>
      this.#options.running.submit(run, {
        say: message => progress.report({ message }),
        signal,
        savesAll: false,
        asksForConsent: false,
        ask,
      }),
    );
  }

  async #cancel(id: string, signal: AbortSignal): Promise<boolean> {
    const params = { id };
    try {
      const cancelIt = async (client: Client, either: AbortSignal) => {
        const { state } = await client.call('getTask', { params }, either);
        if (state !== 'finished') await client.call('cancelTask', { params }, either);
        return state !== 'finished';
      };
      return await this.#options.clusters.connection.ask(l10n.t('Cannot cancel the run before'), cancelIt, signal);
    } catch (error) {
      // It was on the cluster of before.
      if (isCiError(error, 'not-found')) return false;
      throw error;
    }
  }

  async #happened(folder: string, task: WantedTask, event: RunOnSaveEvent): Promise<void> {
    const { note, onRun, panels } = this.#options;
    const name = nameOf(task);
    const problem = event.kind === 'failed' ? l10n.t`Cannot run ${name} on save: ${event.why}` : undefined;
    this.#problem = problem === undefined ? undefined : { folder, text: problem };
    this.#show();
    switch (event.kind) {
      case 'failed':
        return note(problem!);
      case 'superseded':
        note(`Cancelled ${name} (${event.task}), as files were saved since`);
        vscode.window.setStatusBarMessage(
          `$(circle-slash) ${plainLabel(l10n.t`Cancelled the last run of ${name}: files were saved since`)}`,
          MESSAGE_MS,
        );
        return;
      case 'refused':
        return this.#end(folder);
      case 'submitted':
        onRun(event.task);
        if (event.before !== undefined && panels.isShown(event.before)) await panels.show({ task: event.task });
    }
  }

  /** Of a folder that was taken out of the workspace nothing is saved: its task runs again when it is put back. */
  #show(): void {
    const open = openFolders().all.map(uri => uri.toString());
    const tasks = [...this.#active].map(([folder, { task }]) => ({ folder, name: nameOf(task) }));
    const shown = onSaveText({ tasks, problem: this.#problem, open });
    if (!shown) {
      this.#item.hide();
      return;
    }
    this.#item.text = shown.text;
    this.#item.tooltip = shown.tooltip;
    this.#item.accessibilityInformation = { label: `Simple CI: ${shown.tooltip}` };
    this.#item.show();
  }
}
