import * as vscode from 'vscode';
import { type LineEdit, lineAfter } from './line-edits.ts';

/** What is edited from now on, line by line. */
export class WorkspaceEdits implements vscode.Disposable {
  readonly #edits = new Map<string, LineEdit[]>();
  readonly #listening: vscode.Disposable;

  constructor() {
    this.#listening = vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      const edits = this.#edits.get(document.uri.toString()) ?? [];
      for (const { range, text } of contentChanges)
        edits.push({ start: range.start.line, end: range.end.line + 1, lines: text.split('\n').length });
      this.#edits.set(document.uri.toString(), edits);
    });
  }

  /** What was edited until now counts no more. */
  forget(): void {
    this.#edits.clear();
  }

  /** Where a line of then is now; undefined if it was changed away. Both counted from 0. */
  lineNow(file: vscode.Uri, line: number): number | undefined {
    return lineAfter(line, this.#edits.get(file.toString()) ?? []);
  }

  dispose(): void {
    this.#listening.dispose();
  }
}
