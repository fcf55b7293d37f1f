import * as vscode from 'vscode';
import { type Place, placeAfter, type TextEdit } from './text-edits.ts';

/** What is edited from now on. */
export class WorkspaceEdits implements vscode.Disposable {
  readonly #edits = new Map<string, TextEdit[]>();
  readonly #listening: vscode.Disposable;

  constructor() {
    this.#listening = vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      const edits = this.#edits.get(document.uri.toString()) ?? [];
      for (const { range, text } of contentChanges) edits.push({ start: range.start, end: range.end, text });
      this.#edits.set(document.uri.toString(), edits);
    });
  }

  /** What was edited until now counts no more. */
  forget(): void {
    this.#edits.clear();
  }

  /** Where a place of then is now; undefined if what stood there was taken away. */
  placeNow(file: vscode.Uri, place: Place): Place | undefined {
    return placeAfter(place, this.#edits.get(file.toString()) ?? []);
  }

  dispose(): void {
    this.#listening.dispose();
  }
}
