import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import type { TaskView } from '../shared/api.ts';
import { isCiError } from '../shared/errors.ts';
import type { FromTaskPage, ToTaskPage } from '../shared/task-page/task-page-messages.ts';
import type { Clock } from './clock.ts';
import type { Clusters } from './clusters.ts';
import { whyNotShown } from './not-shown.ts';
import { pageHtml } from './page-html.ts';
import type { TaskPageKnowledge } from './task-page-content.ts';

export interface TaskPageOptions {
  readonly clusters: Clusters;
  readonly clock: Clock;
  readonly extension: vscode.Uri;
  readonly onTitle: (title: string) => void;
}

/** When no node answered, they are asked again after this, while the page can be seen. Milliseconds. */
const AGAIN_MS = 3000;

/** The life of one task on one page, live while the task is under way and the page can be seen. */
export class TaskPage implements vscode.Disposable {
  readonly #webview: vscode.Webview;
  readonly #options: TaskPageOptions;
  readonly #listening: readonly vscode.Disposable[];
  #task: string | undefined;
  #isReady = false;
  #watching: AbortController | undefined;
  /** As it was told last. */
  #view: TaskView | undefined;

  constructor(webview: vscode.Webview, options: TaskPageOptions) {
    this.#webview = webview;
    this.#options = options;
    webview.options = { enableScripts: true, localResourceRoots: [vscode.Uri.joinPath(options.extension, 'dist')] };
    const again = options.clusters.connection.connectionChanged.on(({ kind }) => {
      if (kind === 'connected' && !this.#watching) this.#watch();
    });
    this.#listening = [
      webview.onDidReceiveMessage((message: FromTaskPage) => void this.#receive(message)),
      new vscode.Disposable(() => again[Symbol.dispose]()),
    ];
    webview.html = pageHtml(webview, options.extension, { title: l10n.t('Task'), script: 'task-page.js', style: '' });
  }

  get task(): string | undefined {
    return this.#task;
  }

  show(task: string): void {
    this.#task = task;
    this.#watch();
  }

  /** The page cannot be seen: VS Code has taken it down, and will load it anew. */
  hidden(): void {
    this.#isReady = false;
    this.#stop();
  }

  dispose(): void {
    for (const listener of this.#listening) listener.dispose();
    this.hidden();
  }

  async #receive(message: FromTaskPage): Promise<void> {
    const { commands } = vscode;
    const row = { task: this.#task };
    switch (message.type) {
      case 'ready':
        this.#isReady = true;
        this.#task ??= message.state?.task;
        return this.#watch();
      case 'log': {
        const line = await this.#lineOf(message.step).catch(() => undefined);
        return commands.executeCommand('simple-ci.openLog', { row: { ...row, attempt: message.attempt, line } });
      }
      case 'runAgain':
        return commands.executeCommand('simple-ci.runAgain', { row });
      case 'cancel':
        return commands.executeCommand('simple-ci.cancelTask', { row });
      case 'saveAll':
        return commands.executeCommand('simple-ci.saveArtifacts', { row });
      case 'artifact':
        return commands.executeCommand(`simple-ci.${message.action}Artifact`, { row: { ...row, path: message.path } });
    }
  }

  /** Where a step of the last attempt begins in its log; undefined where nobody could say, then the log opens at its end. */
  async #lineOf(step: number | undefined): Promise<number | undefined> {
    const view = this.#view;
    if (step === undefined || !view || view.state === 'queued') return undefined;
    const fence = view.state === 'running' ? view.fence : view.result.fence;
    const { marks } = await this.#options.clusters.connection.ask(l10n.t('Cannot find the step'), (client, signal) =>
      client.call('logMarks', { params: { id: view.id, fence } }, signal),
    );
    return marks.find(mark => mark.kind === 'step-started' && mark.step === step)?.offset;
  }

  #watch(): void {
    this.#stop();
    if (!this.#isReady || this.#task === undefined) return;
    const watching = new AbortController();
    this.#watching = watching;
    void this.#keep(this.#task, watching.signal).finally(() => {
      if (this.#watching === watching) this.#watching = undefined;
    });
  }

  #stop(): void {
    this.#watching?.abort(new Error('The page cannot be seen'));
    this.#watching = undefined;
  }

  /** Until the task has finished, over lapses of the cluster. */
  async #keep(task: string, signal: AbortSignal): Promise<void> {
    const { clusters, clock, onTitle } = this.#options;
    const { connection } = clusters;
    const { watchTask } = await import('./watch-task.ts');
    const { taskPageContent } = await import('./task-page-content.ts');
    using _ = connection.want();
    while (!signal.aborted) {
      try {
        await clusters.ready();
        const tell = (knowledge: TaskPageKnowledge) => {
          this.#view = knowledge.details.view;
          const content = taskPageContent(knowledge);
          onTitle(content.name);
          this.#send({ type: 'content', content });
        };
        await watchTask({ connection, clock, task, tell }, signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#send({ type: 'problem', problem: whyNotShown(error, connection.connection) });
        if (!isCiError(error, 'unavailable')) return;
        await clock.sleep(AGAIN_MS, signal).catch(() => undefined);
      }
    }
  }

  #send(message: ToTaskPage): void {
    if (this.#isReady) void this.#webview.postMessage(message);
  }
}
