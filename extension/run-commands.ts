import { relative } from 'node:path';
import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { count, formatBytes } from '../shared/amounts.ts';
import { CiError } from '../shared/errors.ts';
import { signalOf } from './abort.ts';
import type { Clusters } from './clusters.ts';
import { checkTrust } from './connect-commands.ts';
import type { ClusterChoice } from './connection.ts';
import { LOCAL_CLUSTER } from './local-node.ts';
import { isBelow } from './is-below.ts';
import type { LogPanels } from './log-panels.ts';
import { agrees, showProgress } from './messages.ts';
import type { Program } from './program.ts';
import { nameOf, type Progress, type Question, type Submitted, submitWorkspace } from './submit-workspace.ts';
import type { TaskPicker, WorkspaceRun } from './task-picker.ts';
import { WorkspaceEdits } from './workspace-edits.ts';

export interface RunOptions {
  readonly clusters: Clusters;
  readonly panels: LogPanels;
  readonly picker: TaskPicker;
  /** Of the user, over all workspaces. */
  readonly consents: vscode.Memento;
  readonly findProgram: () => Promise<Program>;
  /** @param edits since the snapshot was taken; whoever is told disposes of them */
  readonly onSubmitted: (submitted: Submitted, edits: WorkspaceEdits) => void;
  /** Of a run whose end nobody waits for in a terminal. */
  readonly onRun: (task: string) => void;
  readonly note: (text: string) => void;
}

/** How a workspace is submitted: what the user sees of it, and whether he is asked. */
export interface SubmitManner {
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
  /** Before the snapshot is taken. Default: true. */
  readonly savesAll?: boolean;
  /** Before files go to a host for the first time; else that is refused. Default: true. */
  readonly asksForConsent?: boolean;
  readonly ask?: (question: Question) => Promise<boolean>;
}

const CONSENTS = 'hostsThatGetFiles';

/** From a workspace with unsaved changes to a running task with its log open. */
export class RunCommands {
  readonly #options: RunOptions;

  constructor(options: RunOptions) {
    this.#options = options;
  }

  /** Asks what to run, if that is not known. */
  async runTask(wanted?: WorkspaceRun): Promise<void> {
    const { picker } = this.#options;
    if (!(await checkTrust()) || !(await this.#checkCluster())) return;
    const folder = wanted?.folder ?? (await picker.pickFolder());
    if (!folder) return;
    const task = wanted?.task ?? (await picker.pickTask(folder, l10n.t('Run which task?')));
    if (task) await this.run({ folder, task });
  }

  async runLast(): Promise<void> {
    await this.runTask(this.#options.picker.last);
  }

  /** Whether there is somewhere to run, and the user lets his files go there. */
  async mayRun(): Promise<boolean> {
    return (await this.#checkCluster()) && (await this.checkConsent(await this.#choice()));
  }

  /** Saves, sends, submits and opens the log. */
  async run({ folder, task }: WorkspaceRun): Promise<void> {
    const submitted = await showProgress(l10n.t('Running {0}', nameOf(task)), (report, cancel) =>
      this.submit({ folder, task }, { say: report, signal: signalOf(cancel) }),
    );
    if (!submitted) return;
    await this.#options.picker.remember({ folder, task });
    const showing = this.#options.panels.show({ task: submitted.id });
    this.#options.onRun(submitted.id);
    await showing;
  }

  /** Undefined if the user did not want what he was asked on the way. */
  async submit({ folder, task }: WorkspaceRun, manner: SubmitManner): Promise<Submitted | undefined> {
    const { say, signal, savesAll = true, asksForConsent = true, ask = askUser } = manner;
    const { clusters, findProgram, note, onSubmitted } = this.#options;
    const choice = await this.#choice();
    // Before anything is asked, saved or sent: who answers is asked first by the program too.
    await clusters.connection.reach(l10n.t`Cannot run ${nameOf(task)}`, signal);
    if (!asksForConsent && !this.#hasConsent(choice)) throw noConsent(choice);
    if (!(await this.checkConsent(choice))) return undefined;
    if (savesAll) await saveAll(folder, nameOf(task));
    const program = await findProgram();
    const token = await clusters.tokenOf(choice);
    const edits = new WorkspaceEdits();
    const onProgress = (progress: Progress) => {
      // What is edited from then on, also while files are sent, is not in the snapshot.
      if (progress.kind === 'looking') edits.forget();
      say(progressText(progress));
    };
    const submission = {
      program,
      folder: folder.fsPath,
      task,
      urls: clusters.connection.urlsOf(choice),
      token,
      isLocal: choice.id === LOCAL_CLUSTER,
      onProgress,
      ask,
      withdraw: (id: string) => this.#withdraw(id),
    };
    let submitted: Submitted | undefined;
    try {
      submitted = await submitWorkspace(submission, signal);
    } finally {
      if (!submitted) edits.dispose();
    }
    if (!submitted) return undefined;
    const { files, bytes, sentBytes } = submitted;
    note(
      `Submitted ${submitted.name} as ${submitted.id}: ${count(files, 'file')}, ${formatBytes(bytes)}, of which ${formatBytes(sentBytes)} were sent`,
    );
    onSubmitted(submitted, edits);
    return submitted;
  }

  async #withdraw(id: string): Promise<void> {
    await this.#options.clusters.connection.ask(l10n.t('Cannot cancel the task'), (client, signal) =>
      client.call('cancelTask', { params: { id } }, signal),
    );
  }

  async #choice(): Promise<ClusterChoice> {
    await this.#options.clusters.ready();
    const { connection } = this.#options.clusters.connection;
    if (connection.kind === 'none') throw new Error(l10n.t('Cannot run a task as no cluster is chosen'));
    return connection.choice;
  }

  /** The first run needs somewhere to run. */
  async #checkCluster(): Promise<boolean> {
    const { clusters } = this.#options;
    await clusters.ready();
    if (clusters.connection.connection.kind !== 'none') return true;
    const local = {
      label: `$(vm) ${l10n.t('Start a local node')}`,
      detail: l10n.t('On this machine, with nothing to set up.'),
      id: 'local',
    };
    const remote = {
      label: `$(plug) ${l10n.t('Connect to a cluster')}`,
      detail: l10n.t('With its address and a token.'),
      id: 'remote',
    };
    const picked = await vscode.window.showQuickPick([local, remote], { title: l10n.t('Where should tasks run?') });
    if (!picked) return false;
    const command = picked.id === 'local' ? 'simple-ci.startLocalNode' : 'simple-ci.connect';
    await vscode.commands.executeCommand(command);
    return this.#options.clusters.connection.connection.kind !== 'none';
  }

  /** Before files leave this machine for a host for the first time. */
  async checkConsent(choice: ClusterChoice): Promise<boolean> {
    if (this.#hasConsent(choice)) return true;
    const { label } = choice;
    const { host, origin } = new URL(choice.id);
    const send = l10n.t('Send');
    const detail = l10n.t(
      'It gets all files of the folder with their uncommitted changes, apart from those that git ignores. This is asked once for each host.',
    );
    const text = l10n.t('Send files of your workspaces to cluster {0} at {1}?', label, host);
    if (!(await agrees(text, detail, send))) return false;
    await this.#options.consents.update(CONSENTS, [...this.#consents, origin]);
    return true;
  }

  get #consents(): readonly string[] {
    return this.#options.consents.get<readonly string[]>(CONSENTS, []);
  }

  #hasConsent({ id }: ClusterChoice): boolean {
    return id === LOCAL_CLUSTER || this.#consents.includes(new URL(id).origin);
  }
}

/** Throws if a file of the folder could not be saved: what runs would not be what the user sees. */
async function saveAll(folder: vscode.Uri, name: string): Promise<void> {
  await vscode.workspace.saveAll(false);
  const unsaved = vscode.workspace.textDocuments
    .filter(({ uri, isDirty, isUntitled }) => isDirty && !isUntitled && uri.scheme === folder.scheme)
    .filter(({ uri }) => isBelow(folder.fsPath, uri.fsPath))
    .map(({ uri }) => relative(folder.fsPath, uri.fsPath));
  if (unsaved.length > 0)
    throw new CiError(
      'invalid',
      l10n.t('Cannot run {0} as not all files could be saved: {1}', name, unsaved.join(', ')),
    );
}

function noConsent({ label }: ClusterChoice): CiError {
  return new CiError(
    'forbidden',
    l10n.t`Cannot send files to cluster ${label} as that was never allowed: run a task there once`,
  );
}

function progressText(progress: Progress): string {
  switch (progress.kind) {
    case 'looking':
      return l10n.t('taking a snapshot …');
    case 'sending':
      return l10n.t('sending {0} of {1} …', formatBytes(progress.bytes), filesText(progress.files));
    case 'submitting':
      return l10n.t('submitting …');
  }
}

function filesText(files: number): string {
  return count(files, l10n.t('file'), l10n.t('files'));
}

export async function askUser(question: Question): Promise<boolean> {
  const send = question.kind === 'secrets' ? l10n.t('Send Them') : l10n.t('Send');
  const text =
    question.kind === 'secrets'
      ? l10n.t('Files that look like secrets would be sent')
      : l10n.t('{0} of {1} would be sent', formatBytes(question.bytes), filesText(question.files));
  const detail =
    question.kind === 'secrets'
      ? `${question.files
          .slice(0, 10)
          .map(({ path, why }) => `${path}: ${why}`)
          .join('\n')}\n\n${l10n.t('To keep them here, name them in .gitignore.')}`
      : l10n.t('Later runs send only what has changed. To leave files out, name them in .gitignore.');
  return agrees(text, detail, send);
}
