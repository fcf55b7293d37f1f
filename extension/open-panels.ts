import * as vscode from 'vscode';

/** What a panel among the editors shows of a task. */
export interface PanelPage extends vscode.Disposable {
  readonly task: string | undefined;
  /** The page cannot be seen: VS Code has taken it down, and will load it anew. */
  hidden(): void;
}

/** The panels of one kind among the editors, each with its page, from when they are opened, or are there again after a reload, until they are closed. */
export class OpenPanels<Page extends PanelPage> implements vscode.Disposable {
  readonly #icon: string;
  readonly #pages = new Map<vscode.WebviewPanel, Page>();

  /** @param icon of VS Code's own */
  constructor(icon: string) {
    this.#icon = icon;
  }

  /** The page that has the focus. */
  get active(): Page | undefined {
    return [...this.#pages].find(([panel]) => panel.active)?.[1];
  }

  /** Whether a page of the task can be seen. */
  isShown(task: string): boolean {
    return [...this.#pages].some(([panel, page]) => panel.visible && page.task === task);
  }

  /** The panel that shows the task, seen or not. */
  panelOf(task: string): vscode.WebviewPanel | undefined {
    return [...this.#pages].find(([, page]) => page.task === task)?.[0];
  }

  adopt(panel: vscode.WebviewPanel, pageFor: (onTitle: (title: string) => void) => Page): Page {
    panel.iconPath = new vscode.ThemeIcon(this.#icon);
    const page = pageFor(title => {
      panel.title = title;
    });
    this.#pages.set(panel, page);
    panel.onDidChangeViewState(() => {
      if (!panel.visible) page.hidden();
    });
    panel.onDidDispose(() => {
      page.dispose();
      this.#pages.delete(panel);
    });
    return page;
  }

  dispose(): void {
    for (const page of this.#pages.values()) page.dispose();
  }
}
