import * as vscode from 'vscode';
import { count, formatBytes } from '../shared/amounts.ts';
import { signalOf } from './abort.ts';
import type { Clusters } from './clusters.ts';
import { checkTrust } from './connect-commands.ts';
import type { ClusterChoice } from './connection.ts';
import { LOCAL_CLUSTER } from './local-node.ts';
import type { LogPanels } from './log-panels.ts';
import type { Program } from './program.ts';
import { type Progress, type Question, type Submitted, submitWorkspace, type WantedTask } from './submit-workspace.ts';
import { listWorkspaceTasks } from './workspace-tasks.ts';

export interface RunOptions {
  readonly clusters: Clusters;
  readonly panels: LogPanels;
  readonly memory: vscode.Memento;
  /** Of the user, over all workspaces. */
  readonly consents: vscode.Memento;
  readonly findProgram: () => Promise<Program>;
  readonly onSubmitted: (submitted: Submitted) => void;
  /** Of a run whose end nobody waits for in a terminal. */
  readonly onRun: (task: string) => void;
  readonly note: (text: string) => void;
}

/** A task of a workspace: what to run, and where. */
export interface WorkspaceRun {
  readonly folder: vscode.Uri;
  readonly task: WantedTask;
}

const LAST = 'lastRun';
const RECENT = 'recentTasks';
const MOST_RECENT = 10;
const CONSENTS = 'hostsThatGetFiles';

/** From a workspace with unsaved changes to a running task with its log open. */
export class RunCommands {
  readonly #options: RunOptions;

  constructor(options: RunOptions) {
    this.#options = options;
  }

  /** Asks what to run, if that is not known. */
  async runTask(wanted?: WorkspaceRun): Promise<void> {
    if (!(await checkTrust()) || !(await this.#checkCluster())) return;
    const folder = wanted?.folder ?? (await pickFolder());
    if (!folder) return;
    const task = wanted?.task ?? (await this.#pickTask(folder));
    if (task) await this.run({ folder, task });
  }

  async runLast(): Promise<void> {
    const last = this.#options.memory.get<{ folder: string; task: WantedTask }>(LAST);
    await this.runTask(last && { folder: vscode.Uri.parse(last.folder), task: last.task });
  }

  /** Saves, sends, submits and opens the log. */
  async run({ folder, task }: WorkspaceRun): Promise<void> {
    const location = vscode.ProgressLocation.Notification;
    const title = `Running ${task.kind === 'named' ? task.name : task.command}`;
    const submitted = await vscode.window.withProgress({ location, title, cancellable: true }, (progress, cancel) =>
      this.submit({ folder, task }, message => progress.report({ message }), signalOf(cancel)),
    );
    if (!submitted) return;
    await this.#remember({ folder, task });
    this.#options.onRun(submitted.id);
    await this.#options.panels.show({ task: submitted.id });
  }

  /** Undefined if the user did not want what he was asked on the way. */
  async submit(
    { folder, task }: WorkspaceRun,
    say: (text: string) => void,
    signal: AbortSignal,
  ): Promise<Submitted | undefined> {
    const { clusters, findProgram, note, onSubmitted } = this.#options;
    const choice = await this.#choice();
    if (!(await this.checkConsent(choice))) return undefined;
    await vscode.workspace.saveAll(false);
    const submitted = await submitWorkspace(
      {
        program: await findProgram(),
        folder: folder.fsPath,
        task,
        urls: choice.urls,
        token: await clusters.tokenOf(choice),
        isLocal: choice.id === LOCAL_CLUSTER,
        onProgress: progress => say(progressText(progress)),
        ask,
      },
      signal,
    );
    if (!submitted) return undefined;
    const { files, bytes, sentBytes } = submitted;
    note(
      `Submitted ${submitted.name} as ${submitted.id}: ${count(files, 'file')}, ${formatBytes(bytes)}, of which ${formatBytes(sentBytes)} were sent`,
    );
    onSubmitted(submitted);
    return submitted;
  }

  async #choice(): Promise<ClusterChoice> {
    await this.#options.clusters.ready();
    const { connection } = this.#options.clusters.connection;
    if (connection.kind === 'none') throw new Error('Cannot run a task as no cluster is chosen');
    return connection.choice;
  }

  /** The first run needs somewhere to run. */
  async #checkCluster(): Promise<boolean> {
    const { clusters } = this.#options;
    await clusters.ready();
    if (clusters.connection.connection.kind !== 'none') return true;
    const local = {
      label: '$(vm) Start a local node',
      detail: 'On this machine, with nothing to set up.',
      id: 'local',
    };
    const remote = { label: '$(plug) Connect to a cluster', detail: 'With its address and a token.', id: 'remote' };
    const picked = await vscode.window.showQuickPick([local, remote], { title: 'Where should tasks run?' });
    if (!picked) return false;
    const command = picked.id === 'local' ? 'simple-ci.startLocalNode' : 'simple-ci.connect';
    await vscode.commands.executeCommand(command);
    return this.#options.clusters.connection.connection.kind !== 'none';
  }

  /** Before files leave this machine for a host for the first time. */
  async checkConsent({ id, label }: ClusterChoice): Promise<boolean> {
    if (id === LOCAL_CLUSTER) return true;
    const given = this.#options.consents.get<readonly string[]>(CONSENTS, []);
    if (given.includes(id)) return true;
    const send = 'Send';
    const detail =
      'It gets all files of the folder with their uncommitted changes, apart from those that git ignores. This is asked once for each host.';
    const text = `Send files of your workspaces to cluster ${label} at ${new URL(id).host}?`;
    if ((await vscode.window.showInformationMessage(text, { modal: true, detail }, send)) !== send) return false;
    await this.#options.consents.update(CONSENTS, [...given, id]);
    return true;
  }

  async #pickTask(folder: vscode.Uri): Promise<WantedTask | undefined> {
    const pick = vscode.window.createQuickPick<TaskItem>();
    const looking = new AbortController();
    try {
      pick.title = 'Run which task?';
      pick.placeholder = 'A task of this workspace, or a command';
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

  async #remember({ folder, task }: WorkspaceRun): Promise<void> {
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
  const label = task.kind === 'named' ? task.name : task.command;
  const from = details?.from ?? 'command';
  return {
    label: `$(${isRecent ? 'history' : 'play'}) ${label}`,
    description: from,
    ...(details && { detail: details.description }),
    task,
  };
}

/** What is typed can be run as it is. */
function commandItem(text: string): TaskItem[] {
  const command = text.trim();
  if (command === '') return [];
  return [
    {
      label: `$(terminal) ${command}`,
      description: 'run this command',
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

/** Of several folders the one of the active editor is proposed first. */
async function pickFolder(): Promise<vscode.Uri | undefined> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  if (folders.length === 0) {
    void vscode.window.showInformationMessage('Open a folder to run a task of it.');
    return undefined;
  }
  if (folders.length === 1) return folders[0]?.uri;
  return (await vscode.window.showWorkspaceFolderPick({ placeHolder: 'The workspace to run a task of' }))?.uri;
}

function progressText(progress: Progress): string {
  switch (progress.kind) {
    case 'looking':
      return 'taking a snapshot …';
    case 'sending':
      return `sending ${formatBytes(progress.bytes)} of ${count(progress.files, 'file')} …`;
    case 'submitting':
      return 'submitting …';
  }
}

async function ask(question: Question): Promise<boolean> {
  const send = question.kind === 'secrets' ? 'Send Them' : 'Send';
  const text =
    question.kind === 'secrets'
      ? 'Files that look like secrets would be sent'
      : `${formatBytes(question.bytes)} of ${count(question.files, 'file')} would be sent`;
  const detail =
    question.kind === 'secrets'
      ? `${question.files
          .slice(0, 10)
          .map(({ path, why }) => `${path}: ${why}`)
          .join('\n')}\n\nTo keep them here, name them in .gitignore.`
      : 'Later runs send only what has changed. To leave files out, name them in .gitignore.';
  return (await vscode.window.showWarningMessage(text, { modal: true, detail }, send)) === send;
}
