import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import type { TaskView } from '../shared/api.ts';
import type { Client } from '../shared/client.ts';
import { explainQueue } from '../shared/explain-queue.ts';
import type { TaskId } from '../shared/ids.ts';
import type { FromPanel, LogLineName, PanelState, ToPanel } from '../shared/log-model/panel-messages.ts';
import { IMPATIENT } from './cluster-connection.ts';
import type { Clusters } from './clusters.ts';
import { LogFeed } from './log-feed.ts';
import { logPageHtml } from './log-page-html.ts';
import { NoAnswer } from './no-answer.ts';
import { whyNotShown } from './not-shown.ts';
import { openWorkspaceFile } from './open-file.ts';
import { panelTask } from './panel-task.ts';

export interface LogPageOptions {
  readonly clusters: Clusters;
  readonly extension: vscode.Uri;
  readonly isInPanel: boolean;
  /** Where paths in the log of a task are counted from, if that is known. */
  readonly foldersOf: (task: string) => readonly string[] | undefined;
  /** The name of the task, for the title of what the page is in. */
  readonly onTitle: (title: string) => void;
  /** What there is to do with the task; undefined before that is known. */
  readonly onProgress?: (progress: TaskProgress | undefined) => void;
}

/** Which log is to be shown, and where in it. */
export interface WantedLog {
  readonly task: string;
  /** The newest, and those that come after it, if absent. */
  readonly attempt?: number | undefined;
  /** The offset of a line of that attempt; the end if absent. */
  readonly line?: number | undefined;
}

export type TaskProgress = 'unfinished' | 'finished';

/** One log on one page, from the moment the page says that it is there until it is gone. */
export class LogPage implements vscode.Disposable {
  readonly #webview: vscode.Webview;
  readonly #options: LogPageOptions;
  readonly #listening: vscode.Disposable[];
  #isReady = false;
  /** The cluster could not be asked: once it can, the log is opened anew. */
  #hasFailed = false;
  /** Of several that overlap, only the last opens the log. */
  #opening: object | undefined;
  #wanted: WantedLog | undefined;
  #line: LogLineName | undefined;
  #feed: LogFeed | undefined;
  #watching: { readonly want: Disposable; readonly changes: Disposable; readonly signal: AbortController } | undefined;
  /** The log could not be opened: who waits for it wants the cluster back. */
  #waiting: Disposable | undefined;
  #last = '';

  constructor(webview: vscode.Webview, options: LogPageOptions) {
    this.#webview = webview;
    this.#options = options;
    webview.options = { enableScripts: true, localResourceRoots: [vscode.Uri.joinPath(options.extension, 'dist')] };
    const again = options.clusters.connection.connectionChanged.on(({ kind }) => {
      if (kind === 'connected' && this.#hasFailed && this.#isReady) void this.#open();
    });
    this.#listening = [
      webview.onDidReceiveMessage((message: FromPanel) => void this.#receive(message)),
      new vscode.Disposable(() => again[Symbol.dispose]()),
    ];
    webview.html = logPageHtml(webview, options.extension, options.isInPanel);
  }

  get task(): string | undefined {
    return this.#wanted?.task;
  }

  /** The line that somebody has chosen in it. */
  get line(): LogLineName | undefined {
    return this.#line;
  }

  show(wanted: WantedLog): void {
    this.#wanted = wanted;
    if (this.#isReady) void this.#open();
  }

  find(): void {
    this.#send({ type: 'find' });
  }

  nextTimestamps(): void {
    this.#send({ type: 'timestamps' });
  }

  /** The page cannot be seen: VS Code has taken it down, and will load it anew. */
  hidden(): void {
    this.#isReady = false;
    void this.#close();
  }

  dispose(): void {
    for (const listener of this.#listening) listener.dispose();
    // What is still being opened is not: it would go on for as long as the task does.
    this.hidden();
  }

  async #receive(message: FromPanel): Promise<void> {
    switch (message.type) {
      case 'ready':
        this.#isReady = true;
        if (message.state) this.#wanted ??= wantedOf(message.state);
        return this.#open();
      case 'taken':
        return this.#feed?.taken();
      case 'read':
        return this.#feed?.read(message.request, message.fence, message.range);
      case 'marks':
        return this.#feed?.marks(message.request, message.fence);
      case 'search':
        return this.#feed?.search(message.request, message.fence, message.query);
      case 'stopSearch':
        return this.#feed?.stopSearch();
      case 'attempt':
        if (this.#wanted) this.show({ task: this.#wanted.task, attempt: message.attempt });
        return;
      case 'link':
        if (message.link.kind === 'file') return openWorkspaceFile(message.link, this.#folders);
        await vscode.env.openExternal(vscode.Uri.parse(message.link.address, true));
        return;
      case 'state':
        this.#line = message.state.line;
        return;
    }
  }

  get #folders(): readonly string[] | undefined {
    return this.#wanted && this.#options.foldersOf(this.#wanted.task);
  }

  async #open(): Promise<void> {
    const opening = {};
    this.#opening = opening;
    // Until it is known how this goes: else the connection would be made anew each time, and tell of it, and this be tried again, without a pause.
    using _waiting = this.#takeWaiting();
    await this.#close();
    this.#hasFailed = false;
    this.#line = undefined;
    const wanted = this.#wanted;
    this.#options.onProgress?.(undefined);
    if (!wanted) return this.#send({ type: 'task', task: undefined });
    const signal = new AbortController();
    try {
      await this.#options.clusters.ready();
      const view = await this.#tell(wanted.task, signal.signal);
      const { connection } = this.#options.clusters;
      const { urls } = connection;
      const client = await connection.client(IMPATIENT);
      if (this.#opening !== opening || !this.#isReady) return client[Symbol.asyncDispose]();
      this.#feed = new LogFeed(client, wanted.task, message => {
        this.#send(message);
        if (message.type === 'failed') this.#failed(urls);
      });
      this.#feed.start(wanted, () => void this.#tell(wanted.task, signal.signal).catch(() => undefined));
      // Who comes back to the page is where he was, not where he began.
      this.#wanted = { task: wanted.task, attempt: wanted.attempt };
      if (view.state !== 'finished') this.#watch(wanted.task, signal);
    } catch (error) {
      if (this.#opening !== opening) return;
      const { connection } = this.#options.clusters;
      this.#hasFailed = true;
      this.#send({ type: 'failed', message: whyNotShown(error, connection.connection) });
      if (error instanceof NoAnswer && this.#isReady) this.#waiting = connection.want();
    }
  }

  #takeWaiting(): Disposable | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }

  /** Meanwhile the connection may have found other nodes: then they have the rest of the log. */
  #failed(urls: readonly string[]): void {
    this.#hasFailed = true;
    const { connection } = this.#options.clusters;
    if (connection.connection.kind === 'connected' && connection.urls.join() !== urls.join()) void this.#open();
  }

  /** While the task is under way, what changes is told. */
  #watch(task: string, signal: AbortController): void {
    const { connection } = this.#options.clusters;
    const want = connection.want();
    const changes = connection.stateChanged.on(({ tasks }) => {
      const summary = tasks?.get(task);
      const now = JSON.stringify([summary?.state, summary?.attempt, summary?.cancelling, this.#whyQueued(task)]);
      if (!summary || now === this.#last) return;
      this.#last = now;
      void this.#tell(task, signal.signal).catch(() => undefined);
    });
    this.#watching = { want, changes, signal };
  }

  async #tell(task: string, signal: AbortSignal): Promise<TaskView> {
    const ask = (client: Client, either: AbortSignal) => client.call('getTask', { params: { id: task } }, either);
    const view = await this.#options.clusters.connection.ask(l10n.t('Cannot open the log'), ask, signal);
    if (this.#wanted?.task !== task) return view;
    this.#options.onTitle(titleOf(view, this.#wanted.attempt));
    this.#options.onProgress?.(view.state === 'finished' ? 'finished' : 'unfinished');
    this.#send({ type: 'task', task: panelTask(view, this.#whyQueued(task)) });
    return view;
  }

  #whyQueued(id: string): string | undefined {
    const { tasks, nodes } = this.#options.clusters.connection.state;
    const task = tasks?.get(id);
    if (!tasks || !nodes || task?.state !== 'queued') return undefined;
    return explainQueue(id as TaskId, task, tasks.values(), nodes.values()).text;
  }

  async #close(): Promise<void> {
    const feed = this.#feed;
    const watching = this.#watching;
    this.#feed = undefined;
    this.#watching = undefined;
    this.#last = '';
    this.#takeWaiting()?.[Symbol.dispose]();
    watching?.signal.abort(new Error('The log was closed'));
    watching?.changes[Symbol.dispose]();
    watching?.want[Symbol.dispose]();
    await feed?.[Symbol.asyncDispose]();
  }

  #send(message: ToPanel): void {
    if (this.#isReady) void this.#webview.postMessage(message);
  }
}

function wantedOf({ task, attempt }: PanelState): WantedLog {
  return { task, attempt };
}

/** An attempt that was asked for by its number is named: others of the same task may be beside it. */
function titleOf({ task, past }: TaskView, attempt: number | undefined): string {
  return attempt === undefined || past.length === 0 ? task.name : l10n.t`${task.name}, attempt ${attempt}`;
}
