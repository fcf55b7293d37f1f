import * as vscode from 'vscode';
import type { PanelState } from '../shared/log-model/panel-messages.ts';
import type { Clusters } from './clusters.ts';
import { LogPage } from './log-page.ts';

const VIEW = 'simple-ci.log';
const PANEL = 'simple-ci.logPanel';
const SHOWN = 'shown';

/** Where logs are shown: one in the panel area beside the terminal, and any number beside the editors. */
export class LogPanels implements vscode.WebviewViewProvider, vscode.WebviewPanelSerializer, vscode.Disposable {
  readonly #clusters: Clusters;
  readonly #extension: vscode.Uri;
  readonly #memory: vscode.Memento;
  readonly #registered: vscode.Disposable[];
  readonly #panels = new Map<vscode.WebviewPanel, LogPage>();
  #view: { readonly view: vscode.WebviewView; readonly page: LogPage } | undefined;
  #shown: { readonly task: string; readonly attempt?: number | undefined } | undefined;

  constructor(clusters: Clusters, { extensionUri, workspaceState }: vscode.ExtensionContext) {
    this.#clusters = clusters;
    this.#extension = extensionUri;
    this.#memory = workspaceState;
    this.#shown = workspaceState.get(SHOWN);
    this.#registered = [
      vscode.window.registerWebviewViewProvider(VIEW, this),
      vscode.window.registerWebviewPanelSerializer(PANEL, this),
    ];
  }

  /** The task of the log that has the focus, else of the one in the panel area. */
  get task(): string | undefined {
    const active = [...this.#panels].find(([panel]) => panel.active);
    return active?.[1].task ?? this.#shown?.task;
  }

  /** Whether the log of the task can be seen. */
  isShown(task: string): boolean {
    const beside = [...this.#panels].some(([panel, page]) => panel.visible && page.task === task);
    return beside || (this.#view?.view.visible === true && this.#view.page.task === task);
  }

  /** In the panel area. The editor keeps the focus. */
  async show(task: string, attempt?: number): Promise<void> {
    this.#shown = { task, attempt };
    await this.#memory.update(SHOWN, this.#shown);
    this.#view?.page.show(task, attempt);
    if (this.#view) this.#view.view.show(true);
    else await vscode.commands.executeCommand(`${VIEW}.focus`, { preserveFocus: true });
  }

  /** Beside the editors. */
  showToSide(task: string): void {
    const panel = vscode.window.createWebviewPanel(
      PANEL,
      'Log',
      { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true },
      { enableFindWidget: false },
    );
    this.#adopt(panel).show(task);
  }

  find(): void {
    this.#active?.find();
  }

  nextTimestamps(): void {
    this.#active?.nextTimestamps();
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    const page = new LogPage(view.webview, {
      clusters: this.#clusters,
      extension: this.#extension,
      isInPanel: true,
      onTitle: title => {
        view.description = title;
      },
    });
    this.#view = { view, page };
    if (this.#shown) page.show(this.#shown.task, this.#shown.attempt);
    view.onDidChangeVisibility(() => {
      if (!view.visible) page.hidden();
    });
    view.onDidDispose(() => {
      page.dispose();
      this.#view = undefined;
    });
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: PanelState | undefined): Promise<void> {
    const page = this.#adopt(panel);
    if (state) page.show(state.task, state.attempt);
  }

  dispose(): void {
    for (const disposable of this.#registered) disposable.dispose();
    for (const page of this.#panels.values()) page.dispose();
    this.#view?.page.dispose();
  }

  get #active(): LogPage | undefined {
    const active = [...this.#panels].find(([panel]) => panel.active);
    return active?.[1] ?? this.#view?.page;
  }

  #adopt(panel: vscode.WebviewPanel): LogPage {
    panel.iconPath = new vscode.ThemeIcon('output');
    const page = new LogPage(panel.webview, {
      clusters: this.#clusters,
      extension: this.#extension,
      isInPanel: false,
      onTitle: title => {
        panel.title = title;
      },
    });
    this.#panels.set(panel, page);
    panel.onDidChangeViewState(() => {
      if (!panel.visible) page.hidden();
    });
    panel.onDidDispose(() => {
      page.dispose();
      this.#panels.delete(panel);
    });
    return page;
  }
}
