import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { showInformation } from './messages.ts';
import { plainLabel } from './plain-message.ts';
import type { Program } from './program.ts';
import { nameOf, type WantedTask } from './submit-workspace.ts';
import { listWorkspaceTasks } from './workspace-tasks.ts';

export interface TaskPickerOptions {
  /** Of the workspace. */
  readonly memory: vscode.Memento;
  readonly findProgram: () => Promise<Program>;
}

/** A task of a workspace: what to run, and where. */
export interface WorkspaceRun {
  readonly folder: vscode.Uri;
  readonly task: WantedTask;
}

const LAST = 'lastRun';
const RECENT = 'recentTasks';
const MOST_RECENT = 10;

/** Asks which task of which folder is meant, with those of before first. */
export class TaskPicker {
  readonly #options: TaskPickerOptions;

  constructor(options: TaskPickerOptions) {
    this.#options = options;
  }

  /** What was run last. */
  get last(): WorkspaceRun | undefined {
    const last = this.#options.memory.get<{ folder: string; task: WantedTask }>(LAST);
    return last && { folder: vscode.Uri.parse(last.folder), task: last.task };
  }

  /** Of several folders the one of the active editor is proposed first. */
  async pickFolder(): Promise<vscode.Uri | undefined> {
    const folders = vscode.workspace.workspaceFolders ?? [];
    if (folders.length === 0) {
      void showInformation(l10n.t('Open a folder to run a task of it.'));
      return undefined;
    }
    if (folders.length === 1) return folders[0]?.uri;
    return (await vscode.window.showWorkspaceFolderPick({ placeHolder: l10n.t('The workspace to run a task of') }))
      ?.uri;
  }

  async pickTask(folder: vscode.Uri, title: string): Promise<WantedTask | undefined> {
    const pick = vscode.window.createQuickPick<TaskItem>();
    const looking = new AbortController();
    try {
      pick.title = title;
      pick.placeholder = l10n.t('A task of this workspace, or a command');
      pick.matchOnDescription = true;
      pick.busy = true;
      pick.show();
      void this.#fill(pick, folder, looking.signal);
      return await picked(pick);
    } finally {
      looking.abort(new Error('The choice is made'));
      pick.dispose();
    }
  }

  async #fill(pick: vscode.QuickPick<TaskItem>, folder: vscode.Uri, signal: AbortSignal): Promise<void> {
    const recent = this.#recent(folder);
    const items: TaskItem[] = [];
    const show = () => {
      pick.items = [...items, ...commandItem(pick.value)];
    };
    pick.onDidChangeValue(show);
    try {
      const tasks = await listWorkspaceTasks(await this.#options.findProgram(), folder.fsPath, signal);
      const known = recent.filter(task => task.kind === 'command' || tasks.some(({ name }) => name === task.name));
      const isRecent = (name: string) => known.some(task => task.kind === 'named' && task.name === name);
      const details = new Map(tasks.map(task => [task.name, task]));
      items.push(
        ...known.map(task => itemOf(task, task.kind === 'named' ? details.get(task.name) : undefined, true)),
        ...tasks
          .filter(({ name }) => !isRecent(name))
          .map(task => itemOf({ kind: 'named', name: task.name }, task, false)),
      );
    } catch (error) {
      if (signal.aborted) return;
      pick.title = error instanceof Error ? error.message : String(error);
    }
    show();
    pick.busy = false;
  }

  #recent(folder: vscode.Uri): readonly WantedTask[] {
    return this.#options.memory.get<Record<string, WantedTask[]>>(RECENT, {})[folder.toString()] ?? [];
  }

  async remember({ folder, task }: WorkspaceRun): Promise<void> {
    const { memory } = this.#options;
    const all = memory.get<Record<string, WantedTask[]>>(RECENT, {});
    const others = this.#recent(folder).filter(other => JSON.stringify(other) !== JSON.stringify(task));
    await memory.update(RECENT, { ...all, [folder.toString()]: [task, ...others].slice(0, MOST_RECENT) });
    await memory.update(LAST, { folder: folder.toString(), task });
  }
}

interface TaskItem extends vscode.QuickPickItem {
  readonly task: WantedTask;
}

function itemOf(
  task: WantedTask,
  details: { readonly from: string; readonly description: string } | undefined,
  isRecent: boolean,
): TaskItem {
  const label = nameOf(task);
  const from = details?.from ?? l10n.t('command');
  return {
    label: `$(${isRecent ? 'history' : 'play'}) ${plainLabel(label)}`,
    description: plainLabel(from),
    ...(details && { detail: plainLabel(details.description) }),
    task,
  };
}

/** What is typed can be run as it is. */
function commandItem(text: string): TaskItem[] {
  const command = text.trim();
  if (command === '') return [];
  return [
    {
      label: `$(terminal) ${plainLabel(command)}`,
      description: l10n.t('run this command'),
      alwaysShow: true,
      task: { kind: 'command', command },
    },
  ];
}

function picked(pick: vscode.QuickPick<TaskItem>): Promise<WantedTask | undefined> {
  return new Promise(resolve => {
    pick.onDidAccept(() => resolve(pick.selectedItems[0]?.task));
    pick.onDidHide(() => resolve(undefined));
  });
}
