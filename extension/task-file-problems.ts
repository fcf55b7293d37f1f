import { basename } from 'node:path';
import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import type { TaskFileProblem } from '../shared/task-file.ts';
import type { Clock } from './clock.ts';
import { TASK_FILES } from './task-files.ts';

/** While somebody types, nothing is said. Milliseconds. */
const PAUSE_MS = 250;

/** What the problem was about, for the change that mends it. */
class TaskFileDiagnostic extends vscode.Diagnostic {
  suggestion: string | undefined;
}

/**
 * What `simple-ci run` would say of the task files that are open, among the problems: in the same words, at the same places, and before
 * they are saved. A line that VS Code's support for JSON, or the YAML extension, has marked already is not marked twice.
 */
export class TaskFileProblems implements vscode.CodeActionProvider, vscode.Disposable {
  readonly #clock: Clock;
  readonly #shown = vscode.languages.createDiagnosticCollection('simple-ci task file');
  /** What is wrong with each file, whether shown or not. */
  readonly #found = new Map<string, readonly TaskFileDiagnostic[]>();
  readonly #waiting = new Map<string, AbortController>();
  readonly #listening: readonly vscode.Disposable[];

  constructor(clock: Clock) {
    this.#clock = clock;
    const { workspace, languages } = vscode;
    this.#listening = [
      workspace.onDidOpenTextDocument(document => this.#look(document, 0)),
      workspace.onDidChangeTextDocument(({ document }) => this.#look(document, PAUSE_MS)),
      workspace.onDidCloseTextDocument(document => this.#forget(document.uri)),
      languages.onDidChangeDiagnostics(({ uris }) => {
        for (const uri of uris) this.#show(uri);
      }),
    ];
    for (const document of workspace.textDocuments) this.#look(document, 0);
  }

  /** The word that was meant, in place of the one that is not known. */
  provideCodeActions(document: vscode.TextDocument, _: vscode.Range, { diagnostics }: vscode.CodeActionContext) {
    const own = this.#found.get(document.uri.toString()) ?? [];
    return diagnostics.flatMap(diagnostic => {
      const found = own.find(({ range, message }) => range.isEqual(diagnostic.range) && message === diagnostic.message);
      return found?.suggestion === undefined ? [] : [change(document, diagnostic, found.suggestion)];
    });
  }

  dispose(): void {
    for (const listener of this.#listening) listener.dispose();
    for (const waiting of this.#waiting.values()) waiting.abort();
    this.#shown.dispose();
  }

  #look(document: vscode.TextDocument, pauseMs: number): void {
    if (vscode.languages.match(TASK_FILES, document) === 0) return;
    const key = document.uri.toString();
    this.#waiting.get(key)?.abort();
    const waiting = new AbortController();
    this.#waiting.set(key, waiting);
    void this.#lookAfter(document, pauseMs, waiting.signal);
  }

  async #lookAfter(document: vscode.TextDocument, pauseMs: number, signal: AbortSignal): Promise<void> {
    const { parseTaskFile } = await import('../shared/task-file.ts');
    await this.#clock.sleep(pauseMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    const { Error: error, Warning: warning } = vscode.DiagnosticSeverity;
    const parsed = parseTaskFile(document.getText(), { name: basename(document.fileName) });
    const found = await (parsed.ok
      ? diagnosticsOf(document, parsed.warnings, warning)
      : diagnosticsOf(document, parsed.problems, error));
    if (signal.aborted) return;
    this.#found.set(document.uri.toString(), found);
    this.#show(document.uri);
  }

  #show(uri: vscode.Uri): void {
    const found = this.#found.get(uri.toString());
    if (!found) return;
    const marked = new Set(vscode.languages.getDiagnostics(uri).filter(isOfOthers).map(lineOf));
    const wanted = found.filter(diagnostic => !marked.has(lineOf(diagnostic)));
    const shown = this.#shown.get(uri) ?? [];
    const isSame = shown.length === wanted.length && shown.every((diagnostic, at) => diagnostic === wanted[at]);
    if (!isSame) this.#shown.set(uri, wanted);
  }

  #forget(uri: vscode.Uri): void {
    const key = uri.toString();
    this.#waiting.get(key)?.abort();
    this.#waiting.delete(key);
    this.#found.delete(key);
    this.#shown.delete(uri);
  }
}

async function diagnosticsOf(
  document: vscode.TextDocument,
  problems: readonly TaskFileProblem[],
  severity: vscode.DiagnosticSeverity,
): Promise<TaskFileDiagnostic[]> {
  const { describeProblem } = await import('../shared/task-file.ts');
  return problems.map(problem => {
    const diagnostic = new TaskFileDiagnostic(rangeOf(document, problem), describeProblem(problem), severity);
    diagnostic.source = 'Simple CI';
    diagnostic.suggestion = problem.suggestion;
    return diagnostic;
  });
}

/** The word at the place, or what is left of its line. */
function rangeOf(document: vscode.TextDocument, { line, column }: TaskFileProblem): vscode.Range {
  const at = document.validatePosition(new vscode.Position(line - 1, column - 1));
  return document.getWordRangeAtPosition(at, /[^\s:,[\]{}"']+/) ?? new vscode.Range(at, document.lineAt(at).range.end);
}

function change(document: vscode.TextDocument, diagnostic: vscode.Diagnostic, suggestion: string): vscode.CodeAction {
  const action = new vscode.CodeAction(l10n.t`Change to “${suggestion}”`, vscode.CodeActionKind.QuickFix);
  action.edit = new vscode.WorkspaceEdit();
  action.edit.replace(document.uri, diagnostic.range, suggestion);
  action.diagnostics = [diagnostic];
  action.isPreferred = true;
  return action;
}

/** VS Code’s own support for JSON names no source. */
function isOfOthers({ source }: vscode.Diagnostic): boolean {
  return source === undefined || /^(yaml|json)/i.test(source);
}

function lineOf({ range }: vscode.Diagnostic): number {
  return range.start.line;
}
