import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import type { TaskSummary } from '../shared/api.ts';
import { CiError } from '../shared/errors.ts';
import { newTaskId, quote } from '../shared/ids.ts';
import type { LogLineName } from '../shared/log-model/panel-messages.ts';
import type { Clock } from './clock.ts';
import type { ClusterViews } from './cluster-views.ts';
import type { Clusters } from './clusters.ts';
import { checkTrust } from './connect-commands.ts';
import { type Given, type GivenLine, lineOf, rowOf } from './given.ts';
import type { LogPanels } from './log-panels.ts';
import { showInformation } from './messages.ts';
import { stateWord } from './outcome-word.ts';
import { attemptsOf } from './panel-task.ts';
import { plainLabel } from './plain-message.ts';
import type { RowElement } from './row-tree.ts';
import { saveAs } from './save-as.ts';
import type { SentTasks } from './sent-tasks.ts';
import type { TaskPages } from './task-pages.ts';
import type { WorkspaceBranches } from './workspace-branches.ts';
import { parseTaskLink, taskLinkText } from './task-link.ts';

export interface TaskCommandsOptions {
  readonly clusters: Clusters;
  readonly clock: Clock;
  readonly panels: LogPanels;
  readonly pages: TaskPages;
  readonly views: ClusterViews;
  readonly branches: WorkspaceBranches;
  readonly sent: SentTasks;
  readonly onRun: (task: string) => void;
}

/** What can be done with tasks that exist. */
export class TaskCommands {
  readonly #clusters: Clusters;
  readonly #clock: Clock;
  readonly #panels: LogPanels;
  readonly #pages: TaskPages;
  readonly #views: ClusterViews;
  readonly #branches: WorkspaceBranches;
  readonly #sent: SentTasks;
  readonly #onRun: (task: string) => void;

  constructor({ clusters, clock, panels, pages, views, branches, sent, onRun }: TaskCommandsOptions) {
    this.#clusters = clusters;
    this.#clock = clock;
    this.#panels = panels;
    this.#pages = pages;
    this.#views = views;
    this.#branches = branches;
    this.#sent = sent;
    this.#onRun = onRun;
  }

  /** The task that somebody looks at: on its page, else by its log. */
  get #shown(): string | undefined {
    return this.#pages.task ?? this.#panels.task;
  }

  async openPage(given: Given): Promise<void> {
    const id =
      rowOf(given)?.task ?? this.#panels.task ?? (await this.#pickTask(l10n.t('Open the page of which task?')));
    if (id !== undefined) this.#pages.show(id);
  }

  async openLog(given: Given): Promise<void> {
    const id = rowOf(given)?.task ?? (await this.#pickTask(l10n.t('Open the log of which task?')));
    const { attempt, line } = rowOf(given) ?? {};
    if (id !== undefined) await this.#panels.show({ task: id, attempt, line });
  }

  async openLogToSide(given: Given): Promise<void> {
    const id = rowOf(given)?.task ?? this.#shown ?? (await this.#pickTask(l10n.t('Open the log of which task?')));
    if (id !== undefined) this.#panels.showInEditor({ task: id, attempt: rowOf(given)?.attempt });
  }

  /** Two attempts at a task side by side: the last two, or those that are picked. */
  async compareAttempts(given: Given): Promise<void> {
    // Attempts are compared by their logs: the one that is seen counts before a page.
    const shown = this.#panels.task ?? this.#pages.task;
    const id = rowOf(given)?.task ?? shown ?? (await this.#pickTask(l10n.t('Compare the attempts of which task?')));
    if (id === undefined) return;
    const view = await this.#clusters.connection.ask(l10n.t('Cannot compare the attempts'), (client, signal) =>
      client.call('getTask', { params: { id } }, signal),
    );
    const attempts = attemptsOf(view);
    if (attempts.length < 2) {
      void showInformation(l10n.t('There was one attempt at this task only: there is nothing to compare.'));
      return;
    }
    const pair = attempts.length === 2 ? attempts : await pickTwo(attempts);
    const [left, right] = pair ?? [];
    if (left !== undefined && right !== undefined) this.#panels.compare(id, [left, right]);
  }

  /** Of one, or of all that are selected. */
  async cancel(given: Given, selected: readonly RowElement[] | undefined): Promise<void> {
    const row = rowOf(given);
    const rows = Array.isArray(selected) ? selected.map(({ row }) => row) : row ? [row] : [];
    const ids = rows.flatMap(({ task }) => (task === undefined || task === '' ? [] : [task]));
    const shown = [this.#pages.task, this.#panels.task].find(task => task !== undefined && this.#isUnfinished(task));
    const chosen = ids.length > 0 ? ids : shown !== undefined ? [shown] : [];
    const id =
      chosen.length > 0
        ? undefined
        : await this.#pickTask(l10n.t('Cancel which task?'), ({ state }) => state !== 'finished');
    for (const task of id === undefined ? chosen : [id])
      await this.#clusters.connection.ask(l10n.t('Cannot cancel the task'), (client, signal) =>
        client.call('cancelTask', { params: { id: task } }, signal),
      );
  }

  /** The same task on the same files as then. */
  async runAgain(given: Given): Promise<void> {
    if (!(await checkTrust())) return;
    const id = rowOf(given)?.task ?? this.#shown ?? (await this.#pickTask(l10n.t('Run which task again?')));
    if (id === undefined) return;
    // With an id of its own it can be said twice, to another node too, and is done once.
    const again = newTaskId(Number(id[0]), this.#clock.now(), () => this.#clock.random());
    const view = await this.#clusters.connection.ask(l10n.t('Cannot run the task again'), (client, signal) =>
      client.call('retryTask', { params: { id }, body: { id: again } }, signal),
    );
    await this.#sent.repeated(id, view.id);
    const showing = this.#panels.show({ task: view.id });
    this.#onRun(view.id);
    await showing;
  }

  async copyTaskId(given: Given): Promise<void> {
    const id = rowOf(given)?.task ?? this.#shown;
    if (id !== undefined) await vscode.env.clipboard.writeText(id);
  }

  /** For somebody else with the same cluster. */
  async copyTaskLink(given: GivenLine): Promise<void> {
    const task = lineOf(given)?.task ?? rowOf(given)?.task ?? this.#shown;
    if (task !== undefined) await this.#copyLink(task);
  }

  /** To the line of a log that its menu was opened on, else to the one that is chosen. */
  async copyLineLink(given: GivenLine): Promise<void> {
    const task = lineOf(given)?.task ?? this.#panels.task;
    const line = lineOf(given) ?? this.#panels.line;
    if (task !== undefined && line) return this.#copyLink(task, line);
    void showInformation(l10n.t('Choose a line of a log first: click it, or go to it with the arrow keys.'));
  }

  async #copyLink(task: string, line?: LogLineName): Promise<void> {
    const { cluster } = await this.#clusters.connection.ask(l10n.t('Cannot make a link'), (client, signal) =>
      client.call('cluster', {}, signal),
    );
    await vscode.env.clipboard.writeText(taskLinkText(vscode.env.uriScheme, { task, cluster, line }));
  }

  /** Shows what a link names. */
  async openLink(uri: vscode.Uri): Promise<void> {
    const { task, cluster, line } = parseTaskLink(uri);
    await this.#clusters.ready();
    const here = await this.#clusters.connection.ask(l10n.t('Cannot open the task of the link'), (client, signal) =>
      client.call('cluster', {}, signal),
    );
    if (here.cluster !== cluster)
      throw new CiError(
        'not-found',
        l10n.t(
          'Cannot open task as it is on cluster {0}, and this window is connected to {1}',
          quote(cluster),
          quote(here.cluster),
        ),
      );
    await this.#panels.show({ task, attempt: line?.attempt, line: line?.offset });
  }

  async saveLog(given: Given): Promise<void> {
    const id = rowOf(given)?.task ?? this.#shown ?? (await this.#pickTask(l10n.t('Save the log of which task?')));
    if (id === undefined) return;
    const name = this.#clusters.connection.state.tasks?.get(id)?.name ?? id;
    await saveAs(this.#clusters, {
      name: `${name.replace(/[^\w.-]+/g, '-')}.log`,
      what: l10n.t`log of ${name}`,
      read: (client, signal) => client.rawLog(id, {}, signal),
    });
  }

  async filterTasks(): Promise<void> {
    const { connection } = this.#clusters.connection;
    const principal = connection.kind === 'connected' ? connection.cluster.principal : undefined;
    const { onlyMine = false, onlyBranch = false, onlyFailed = false, onlyUnfinished = false } = this.#views.filter;
    const branches = await this.#branches.read();
    const items = [
      {
        id: 'mine',
        label: l10n.t('Mine'),
        description: principal === undefined ? '' : l10n.t`submitted by ${principal}`,
        picked: onlyMine,
      },
      ...(branches.length === 0 && !onlyBranch
        ? []
        : [{ id: 'branch', label: l10n.t('This branch'), description: branches.join(', '), picked: onlyBranch }]),
      { id: 'failed', label: l10n.t('Failed'), description: l10n.t('and not cancelled'), picked: onlyFailed },
      { id: 'unfinished', label: l10n.t('Running and queued'), description: '', picked: onlyUnfinished },
    ];
    const picked = await vscode.window.showQuickPick(items, {
      title: l10n.t('Which tasks should be shown?'),
      placeHolder: l10n.t('None of these: all tasks'),
      canPickMany: true,
    });
    if (!picked) return;
    const has = (id: string) => picked.some(item => item.id === id);
    await this.#views.setFilter({
      onlyMine: has('mine'),
      onlyBranch: has('branch'),
      onlyFailed: has('failed'),
      onlyUnfinished: has('unfinished'),
    });
  }

  async clearFilter(): Promise<void> {
    await this.#views.setFilter({});
  }

  #isUnfinished(id: string): boolean {
    const task = this.#clusters.connection.state.tasks?.get(id);
    return task !== undefined && task.state !== 'finished';
  }

  async #pickTask(title: string, isWanted: (task: TaskSummary) => boolean = () => true): Promise<string | undefined> {
    await this.#clusters.ready();
    const { tasks } = await this.#clusters.connection.ask(l10n.t('Cannot list the tasks'), (client, signal) =>
      client.call('listTasks', { query: { limit: 200 } }, signal),
    );
    const items = tasks
      .filter(isWanted)
      .map(task => ({ label: plainLabel(task.name), description: stateWord(task), detail: task.id, id: task.id }));
    return (await vscode.window.showQuickPick(items, { title, matchOnDetail: true }))?.id;
  }
}

async function pickTwo(attempts: readonly number[]): Promise<readonly number[] | undefined> {
  const items = attempts.map((attempt, at) => ({
    label: l10n.t`Attempt ${attempt}`,
    picked: at >= attempts.length - 2,
    attempt,
  }));
  const picked = await vscode.window.showQuickPick(items, { title: l10n.t('Which two attempts?'), canPickMany: true });
  return picked?.map(({ attempt }) => attempt).slice(0, 2);
}
