import * as vscode from 'vscode';
import type { LogEvent } from '../shared/log.ts';
import { LineReader } from '../shared/log-model/line-reader.ts';
import type { Clusters } from './clusters.ts';
import { type LineEdit, lineAfter } from './line-edits.ts';
import { findWorkspaceFile } from './open-file.ts';
import { type Problem, ProblemScanner } from './problem-scanner.ts';
import { fillsProblems } from './settings.ts';
import type { Submitted } from './submit-workspace.ts';

/** More of one task are not shown: nobody reads them. */
const MOST_PROBLEMS = 1000;

const SEVERITIES = {
  error: vscode.DiagnosticSeverity.Error,
  warning: vscode.DiagnosticSeverity.Warning,
  information: vscode.DiagnosticSeverity.Information,
} as const;

/**
 * What is wrong with the code, according to the logs of tasks that were run from here, among the problems of VS Code. A task's next run
 * replaces them. A file may have been edited since its snapshot was taken: a problem stands where its line is now.
 */
export class TaskProblems implements vscode.Disposable {
  readonly #clusters: Clusters;
  readonly #note: (text: string) => void;
  readonly #reading = new Map<
    string,
    { readonly stop: AbortController; readonly shown: vscode.DiagnosticCollection }
  >();

  constructor(clusters: Clusters, note: (text: string) => void) {
    this.#clusters = clusters;
    this.#note = note;
  }

  /** Reads the log of a task that has just been submitted, to its end. */
  follow({ id, name }: Submitted): void {
    if (!fillsProblems()) return;
    this.#forget(name);
    const shown = vscode.languages.createDiagnosticCollection(`simple-ci: ${name}`);
    const stop = new AbortController();
    this.#reading.set(name, { stop, shown });
    void this.#read(id, name, shown, stop.signal).catch(error => {
      if (!stop.signal.aborted) this.#note(`Cannot look for problems in the log of ${name}: ${String(error)}`);
    });
  }

  dispose(): void {
    for (const name of [...this.#reading.keys()]) this.#forget(name);
  }

  #forget(name: string): void {
    const reading = this.#reading.get(name);
    reading?.stop.abort(new Error('The task runs anew'));
    reading?.shown.dispose();
    this.#reading.delete(name);
  }

  async #read(id: string, name: string, shown: vscode.DiagnosticCollection, signal: AbortSignal): Promise<void> {
    const edits = new Edits();
    try {
      await using client = await this.#clusters.connection.client();
      let lines = new LineReader();
      let scanner = new ProblemScanner();
      let count = 0;
      for await (const event of client.log(id, { follow: true }, signal)) {
        if (event.kind === 'attempt') {
          lines = new LineReader();
          scanner = new ProblemScanner();
          shown.clear();
        }
        for (const problem of problemsIn(event, lines, scanner))
          if (++count <= MOST_PROBLEMS) await show(problem, name, shown, edits);
      }
    } finally {
      edits.dispose();
    }
  }
}

function problemsIn(event: LogEvent, lines: LineReader, scanner: ProblemScanner): Problem[] {
  return lines.read([event]).flatMap(line => {
    if (line.kind !== 'output' || !line.isWhole) return [];
    const problem = scanner.push(line.text);
    return problem ? [problem] : [];
  });
}

async function show(problem: Problem, task: string, shown: vscode.DiagnosticCollection, edits: Edits): Promise<void> {
  const file = await findWorkspaceFile(problem.path);
  const line = file && edits.lineNow(file, problem.line - 1);
  if (!file || line === undefined) return;
  const at = new vscode.Position(line, problem.column - 1);
  const diagnostic = new vscode.Diagnostic(new vscode.Range(at, at), problem.message, SEVERITIES[problem.severity]);
  diagnostic.source = `Simple CI: ${task} (${problem.source})`;
  if (problem.code !== undefined) diagnostic.code = problem.code;
  shown.set(file, [...(shown.get(file) ?? []), diagnostic]);
}

/** What was edited since the snapshot was taken, line by line. */
class Edits {
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

  lineNow(file: vscode.Uri, line: number): number | undefined {
    return lineAfter(line, this.#edits.get(file.toString()) ?? []);
  }

  dispose(): void {
    this.#listening.dispose();
  }
}
