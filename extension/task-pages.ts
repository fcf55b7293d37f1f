import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { OpenPanels } from './open-panels.ts';
import type { TaskPageState } from '../shared/task-page/task-page-messages.ts';
import { TaskPage, type TaskPageOptions } from './task-page.ts';

const PANEL = 'simple-ci.taskPage';

/** The pages of tasks among the editors: one for each task that somebody looks at. They are there again after a reload. */
export class TaskPages implements vscode.WebviewPanelSerializer, vscode.Disposable {
  readonly #options: Omit<TaskPageOptions, 'onTitle'>;
  readonly #registered: vscode.Disposable;
  readonly #panels = new OpenPanels<TaskPage>('graph');

  constructor(options: Omit<TaskPageOptions, 'onTitle'>) {
    this.#options = options;
    this.#registered = vscode.window.registerWebviewPanelSerializer(PANEL, this);
  }

  /** The task of the page that has the focus. */
  get task(): string | undefined {
    return this.#panels.active?.task;
  }

  /** Whether the page of the task can be seen. */
  isShown(task: string): boolean {
    return this.#panels.isShown(task);
  }

  show(task: string): void {
    const open = this.#panels.panelOf(task);
    if (open) open.reveal();
    else this.#adopt(vscode.window.createWebviewPanel(PANEL, l10n.t('Task'), vscode.ViewColumn.Active)).show(task);
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: TaskPageState | undefined): Promise<void> {
    const page = this.#adopt(panel);
    if (state) page.show(state.task);
  }

  dispose(): void {
    this.#registered.dispose();
    this.#panels.dispose();
  }

  #adopt(panel: vscode.WebviewPanel): TaskPage {
    return this.#panels.adopt(panel, onTitle => new TaskPage(panel.webview, { ...this.#options, onTitle }));
  }
}
