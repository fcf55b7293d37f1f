import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { describeError } from '../shared/errors.ts';
import { Attention } from './attention.ts';
import type { ClusterConnection } from './cluster-connection.ts';
import { type ChosenFilter, filterText, taskFilter } from './chosen-filter.ts';
import type { Clusters } from './clusters.ts';
import type { Clock } from './clock.ts';
import { connectionText } from './connection-text.ts';
import { emptyRow, nodeChildren, nodeDetails, nodeRows } from './node-rows.ts';
import { queueRows } from './queue-rows.ts';
import type { Row } from './row.ts';
import { type RowElement, type RowSource, RowTree } from './row-tree.ts';
import { readTaskDetails, type TaskDetails } from './task-details.ts';
import type { WorkspaceBranches } from './workspace-branches.ts';
import { noteRow, type TaskFilter, taskChildren, taskRows } from './task-rows.ts';

const FILTER = 'filter';

export interface ClusterViewsOptions {
  readonly clusters: Clusters;
  readonly clock: Clock;
  /** Of the workspace. */
  readonly memory: vscode.Memento;
  readonly branches: WorkspaceBranches;
}

interface View {
  readonly tree: RowTree;
  readonly view: vscode.TreeView<RowElement>;
}

/** The three trees of the side bar. What they show is pushed; while none of them is to be seen, nothing runs. */
export class ClusterViews implements vscode.Disposable {
  readonly #clusters: Clusters;
  readonly #clock: Clock;
  readonly #memory: vscode.Memento;
  readonly #branches: WorkspaceBranches;
  readonly #views: readonly View[];
  readonly #disposables: vscode.Disposable[] = [];
  /** Of tasks that were unfolded. */
  readonly #details = new Map<string, { readonly stage: string; readonly details: TaskDetails }>();
  #filter: ChosenFilter;
  /** As whom the cluster knows the user; while it cannot be reached, what it said last. */
  #principal: string | undefined;
  readonly #attention: Attention;

  constructor({ clusters, clock, memory, branches }: ClusterViewsOptions) {
    this.#clusters = clusters;
    this.#clock = clock;
    this.#memory = memory;
    this.#branches = branches;
    this.#filter = memory.get(FILTER, {});
    this.#views = [
      this.#view('simple-ci.tasks', this.#tasks()),
      this.#view('simple-ci.queue', this.#queue()),
      this.#view('simple-ci.nodes', this.#nodes()),
    ];
    const { connection } = clusters;
    this.#attention = new Attention({
      clock,
      isSeen: () => this.#views.some(({ view }) => view.visible),
      isAwaited: () => this.#ownUnfinished() > 0,
      prepare: () => this.#prepare(),
      want: () => connection.want(),
      draw: () => this.#draw(),
    });
    const refresh = () => this.#refresh();
    const changes = [
      connection.stateChanged.on(refresh),
      connection.connectionChanged.on(refresh),
      branches.changed.on(refresh),
    ];
    this.#disposables.push(...changes.map(change => new vscode.Disposable(() => change[Symbol.dispose]())));
    this.#refresh();
  }

  get filter(): ChosenFilter {
    return this.#filter;
  }

  async setFilter(filter: ChosenFilter): Promise<void> {
    this.#filter = filter;
    await this.#memory.update(FILTER, filter);
    this.#refresh();
  }

  get #taskFilter(): TaskFilter {
    return taskFilter(this.#filter, { principal: this.#principal, branches: this.#branches.names });
  }

  dispose(): void {
    this.#attention[Symbol.dispose]();
    for (const disposable of this.#disposables) disposable.dispose();
  }

  get #connection(): ClusterConnection {
    return this.#clusters.connection;
  }

  #view(id: string, source: RowSource): View {
    const tree = new RowTree(source);
    const view = vscode.window.createTreeView(id, { treeDataProvider: tree, canSelectMany: id !== 'simple-ci.nodes' });
    this.#disposables.push(
      tree,
      view,
      view.onDidChangeVisibility(() => void this.#attention.changed()),
    );
    return { tree, view };
  }

  async #prepare(): Promise<void> {
    await this.#clusters.ready().catch(error => this.#say(describeError(error)));
    if (this.#filter.onlyBranch) await this.#branches.read();
  }

  /** One that is hidden looks when it is seen again. */
  #draw(): void {
    for (const { tree, view } of this.#views) if (view.visible) tree.refresh();
  }

  #refresh(): void {
    const { connection } = this.#connection;
    if (connection.kind === 'connected') this.#principal = connection.cluster.principal;
    this.#draw();
    const text = connectionText(connection);
    const filter = filterText(this.#filter);
    void vscode.commands.executeCommand('setContext', 'simple-ci.isFiltered', filter !== undefined);
    this.#say(text.message);
    const own = this.#ownUnfinished();
    const [tasks] = this.#views;
    if (tasks) {
      tasks.view.description = [text.cluster, filter].filter(Boolean).join(' · ');
      tasks.view.badge = own === 0 ? undefined : { value: own, tooltip: l10n.t('Your tasks under way: {0}', own) };
    }
    this.#attention.heard();
  }

  #say(message: string | undefined): void {
    const [tasks] = this.#views;
    // The API takes undefined for none, its types do not.
    if (tasks) tasks.view.message = message as string;
  }

  #ownUnfinished(): number {
    const { connection, state } = this.#connection;
    if (connection.kind !== 'connected') return 0;
    const { principal } = connection.cluster;
    return [...(state.tasks?.values() ?? [])].filter(
      ({ submitter, state }) => submitter === principal && state !== 'finished',
    ).length;
  }

  #tasks(): RowSource {
    return {
      roots: () => {
        const tasks = this.#connection.state.tasks;
        return tasks ? taskRows(tasks.values(), this.#taskFilter, this.#clock.now()) : [];
      },
      childrenOf: row => this.#taskChildren(row),
      tooltipOf: row => this.#taskTooltip(row),
      commandOf: openLogCommand,
    };
  }

  #queue(): RowSource {
    return {
      roots: () => {
        const { tasks, nodes } = this.#connection.state;
        if (!tasks || !nodes) return [];
        const rows = queueRows([...tasks.values()], [...nodes.values()], this.#clock.now());
        return rows.length > 0 ? rows : [emptyRow(l10n.t('Nothing waits'))];
      },
      childrenOf: async () => [],
      tooltipOf: row => this.#taskTooltip(row),
      commandOf: openLogCommand,
    };
  }

  #nodes(): RowSource {
    const childrenNow = (row: Row) =>
      nodeChildren(row.label, this.#connection.state.tasks?.values() ?? [], this.#clock.now());
    return {
      roots: () => {
        const { tasks, nodes } = this.#connection.state;
        return nodes ? nodeRows(nodes.values(), tasks?.values() ?? []) : [];
      },
      childrenOf: async row => childrenNow(row),
      childrenNow,
      tooltipOf: row => this.#nodeTooltip(row),
      commandOf: openLogCommand,
    };
  }

  async #taskChildren(row: Row): Promise<readonly Row[]> {
    if (row.task === undefined) return [];
    try {
      const { view, artifacts } = await this.#detailsOf(row.task);
      return taskChildren(view, artifacts, this.#clock.now());
    } catch (error) {
      return [noteRow(row.task, 'failed', describeError(error))];
    }
  }

  /** Asked for again only when the task has moved on: VS Code wants the children of a row whenever the row has changed. */
  async #detailsOf(id: string): Promise<TaskDetails> {
    const { state, attempt } = this.#connection.state.tasks?.get(id) ?? {};
    const stage = `${state} ${attempt}`;
    const known = this.#details.get(id);
    if (known?.stage === stage) return known.details;
    const details = await this.#connection.ask(l10n.t('Cannot show what is in the task'), (client, signal) =>
      readTaskDetails(client, id, signal),
    );
    this.#details.set(id, { stage, details });
    return details;
  }

  #taskTooltip(row: Row): vscode.MarkdownString | undefined {
    const task = row.task === undefined ? undefined : this.#connection.state.tasks?.get(row.task);
    if (!task) return undefined;
    const lines = [
      task.name,
      ...(task.message === undefined ? [] : [task.message]),
      l10n.t`Submitted by ${task.submitter}`,
      ...(task.node === undefined ? [] : [l10n.t('Node: {0}, attempt {1}', task.node, task.attempt ?? 1)]),
      ...(task.branch === undefined ? [] : [l10n.t`Branch: ${task.branch}`]),
      ...(task.labels === undefined || task.labels.length === 0 ? [] : [l10n.t('Labels: {0}', task.labels.join(', '))]),
      task.id,
    ];
    return plainLines(lines);
  }

  #nodeTooltip(row: Row): vscode.MarkdownString | undefined {
    const node = this.#connection.state.nodes?.get(row.label);
    return node && plainLines(nodeDetails(node, this.#clock.now()));
  }
}

function openLogCommand(row: Row): vscode.Command | undefined {
  if (row.task === undefined || row.task === '' || row.kind === 'note') return undefined;
  const [command, title] =
    row.kind === 'artifact'
      ? ['simple-ci.openArtifact', l10n.t('Open artifact')]
      : ['simple-ci.openLog', l10n.t('Open log')];
  return { command, title, arguments: [{ row }] };
}

/** What a cluster says is text, never markup. */
function plainLines(lines: readonly string[]): vscode.MarkdownString {
  const markdown = new vscode.MarkdownString();
  for (const line of lines) markdown.appendText(line).appendMarkdown('\n\n');
  return markdown;
}
