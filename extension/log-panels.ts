import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import type { LogLineName, PanelState } from '../shared/log-model/panel-messages.ts';
import type { Clusters } from './clusters.ts';
import { LogPage, type LogPageOptions, type WantedLog } from './log-page.ts';
import { OpenPanels } from './open-panels.ts';
import type { SentTasks } from './sent-tasks.ts';

const VIEW = 'simple-ci.log';
const PANEL = 'simple-ci.logPanel';
const SHOWN = 'shown';
/** Of the task in the panel area, for its menu. */
const PROGRESS = 'simple-ci.shownTask';

/** Where logs are shown: one in the panel area beside the terminal, and any number beside the editors. */
export class LogPanels implements vscode.WebviewViewProvider, vscode.WebviewPanelSerializer, vscode.Disposable {
  readonly #pages: Omit<LogPageOptions, 'isInPanel' | 'onTitle' | 'onProgress'>;
  readonly #memory: vscode.Memento;
  readonly #registered: vscode.Disposable[];
  readonly #panels = new OpenPanels<LogPage>('output');
  #view: { readonly view: vscode.WebviewView; readonly page: LogPage } | undefined;
  #shown: WantedLog | undefined;
  /** The task whose log is not seen yet, but will be in a moment. */
  #opening: string | undefined;

  constructor(clusters: Clusters, sent: SentTasks, { extensionUri, workspaceState }: vscode.ExtensionContext) {
    this.#pages = { clusters, extension: extensionUri, foldersOf: task => sent.of(task)?.folders };
    this.#memory = workspaceState;
    this.#shown = workspaceState.get(SHOWN);
    this.#registered = [
      vscode.window.registerWebviewViewProvider(VIEW, this),
      vscode.window.registerWebviewPanelSerializer(PANEL, this),
    ];
  }

  /** The task of the log that has the focus, else of the one in the panel area. */
  get task(): string | undefined {
    return this.#panels.active?.task ?? this.#shown?.task;
  }

  /** The line that is chosen in that log. */
  get line(): LogLineName | undefined {
    return this.#active?.line;
  }

  /** Whether the log of the task can be seen. */
  isShown(task: string): boolean {
    return (
      this.#opening === task ||
      this.#panels.isShown(task) ||
      (this.#view?.view.visible === true && this.#view.page.task === task)
    );
  }

  /** In the panel area. The editor keeps the focus. */
  async show(wanted: WantedLog): Promise<void> {
    this.#shown = wanted;
    this.#opening = wanted.task;
    await this.#memory.update(SHOWN, { task: wanted.task, attempt: wanted.attempt });
    this.#view?.page.show(wanted);
    if (this.#view?.view.visible) this.#opening = undefined;
    if (this.#view) this.#view.view.show(true);
    else await vscode.commands.executeCommand(`${VIEW}.focus`, { preserveFocus: true });
  }

  /** Among the editors. */
  showInEditor(wanted: WantedLog, viewColumn = vscode.ViewColumn.Beside): void {
    const place = { viewColumn, preserveFocus: true };
    const panel = vscode.window.createWebviewPanel(PANEL, l10n.t('Log'), place, { enableFindWidget: false });
    this.#adopt(panel).show(wanted);
  }

  /** Two attempts at a task, beside each other. */
  compare(task: string, [left, right]: readonly [number, number]): void {
    this.showInEditor({ task, attempt: left }, vscode.ViewColumn.Active);
    this.showInEditor({ task, attempt: right }, vscode.ViewColumn.Beside);
  }

  find(): void {
    this.#active?.find();
  }

  nextTimestamps(): void {
    this.#active?.nextTimestamps();
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    const page = new LogPage(view.webview, {
      ...this.#pages,
      isInPanel: true,
      onTitle: title => {
        view.description = title;
      },
      onProgress: progress => void vscode.commands.executeCommand('setContext', PROGRESS, progress),
    });
    this.#view = { view, page };
    if (this.#shown) page.show(this.#shown);
    this.#opening = undefined;
    view.onDidChangeVisibility(() => {
      this.#opening = undefined;
      if (!view.visible) page.hidden();
    });
    view.onDidDispose(() => {
      page.dispose();
      this.#view = undefined;
    });
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: PanelState | undefined): Promise<void> {
    const page = this.#adopt(panel);
    if (state) page.show({ task: state.task, attempt: state.attempt });
  }

  dispose(): void {
    for (const disposable of this.#registered) disposable.dispose();
    this.#panels.dispose();
    this.#view?.page.dispose();
  }

  get #active(): LogPage | undefined {
    return this.#panels.active ?? this.#view?.page;
  }

  #adopt(panel: vscode.WebviewPanel): LogPage {
    return this.#panels.adopt(
      panel,
      onTitle => new LogPage(panel.webview, { ...this.#pages, isInPanel: false, onTitle }),
    );
  }
}
