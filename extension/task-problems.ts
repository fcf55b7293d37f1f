import * as vscode from 'vscode';
import type { Clusters } from './clusters.ts';
import { findOnlyFile } from './find-only-file.ts';
import { matcherSources } from './matcher-sources.ts';
import { showWarning } from './messages.ts';
import { findWorkspaceFile } from './open-file.ts';
import type { ProblemMatcher } from './problem-matcher.ts';
import { ProblemReader } from './problem-reader.ts';
import type { Problem } from './problem-scanner.ts';
import { fillsProblems } from './settings.ts';
import type { Submitted } from './submit-workspace.ts';
import type { Place } from './text-edits.ts';
import type { WorkspaceEdits } from './workspace-edits.ts';

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
  readonly #warned = new Set<string>();
  /** By workspace and name: tasks of two workspaces may have the same. */
  readonly #reading = new Map<
    string,
    { readonly stop: AbortController; readonly shown: vscode.DiagnosticCollection }
  >();

  constructor(clusters: Clusters, note: (text: string) => void) {
    this.#clusters = clusters;
    this.#note = note;
  }

  /**
   * Reads the log of a task that has just been submitted, to its end.
   * @param edits since the snapshot was taken; disposed of here
   */
  follow(submitted: Submitted, edits: WorkspaceEdits): void {
    if (!fillsProblems()) {
      edits.dispose();
      return;
    }
    const { name } = submitted;
    const key = JSON.stringify([submitted.root, name]);
    this.#forget(key);
    const shown = vscode.languages.createDiagnosticCollection(`simple-ci: ${name}`);
    const stop = new AbortController();
    this.#reading.set(key, { stop, shown });
    void this.#read(submitted, { shown, edits }, stop.signal)
      .catch(error => {
        if (!stop.signal.aborted) this.#note(`Cannot look for problems in the log of ${name}: ${String(error)}`);
      })
      .finally(() => edits.dispose());
  }

  dispose(): void {
    for (const key of [...this.#reading.keys()]) this.#forget(key);
  }

  #forget(key: string): void {
    const reading = this.#reading.get(key);
    reading?.stop.abort(new Error('The task runs anew'));
    reading?.shown.dispose();
    this.#reading.delete(key);
  }

  async #read(submitted: Submitted, { shown, edits }: Omit<Showing, 'files'>, signal: AbortSignal): Promise<void> {
    const { id, name } = submitted;
    const files = new SentFiles(submitted);
    const matchers = await this.#matchers(submitted);
    const newReader = () => new ProblemReader(matchers, text => this.#warn(text));
    await using client = await this.#clusters.connection.client();
    let reader = newReader();
    let count = 0;
    for await (const event of client.log(id, { follow: true }, signal)) {
      if (event.kind === 'attempt') {
        reader = newReader();
        count = 0;
        shown.clear();
      }
      const problems = reader.read(event).slice(0, MOST_PROBLEMS - count);
      count += problems.length;
      await show(problems, name, { shown, edits, files });
    }
  }

  /** Those of others that can be used; of the rest the user is told. */
  async #matchers({ name, root }: Submitted): Promise<readonly ProblemMatcher[]> {
    const { findMatchers } = await import('./find-matchers.ts');
    const { matchers, wrong } = findMatchers(name, matcherSources(root));
    for (const text of wrong) this.#warn(text);
    return matchers;
  }

  /** Once: a matcher that is wrong is so in every run. */
  #warn(text: string): void {
    this.#note(text);
    if (this.#warned.has(text)) return;
    this.#warned.add(text);
    void showWarning(text);
  }
}

interface Showing {
  readonly shown: vscode.DiagnosticCollection;
  readonly edits: WorkspaceEdits;
  readonly files: SentFiles;
}

/** The files of the workspace that was sent, as its log names them. */
class SentFiles {
  readonly #sent: Pick<Submitted, 'root' | 'folders'>;
  /** A whole workspace is looked through for each name once, however often the log has it. */
  readonly #byName = new Map<string, Promise<string | undefined>>();

  constructor(sent: Pick<Submitted, 'root' | 'folders'>) {
    this.#sent = sent;
  }

  async find({ path, folders = [''], isInAnyFolder }: Problem): Promise<vscode.Uri | undefined> {
    if (isInAnyFolder) return this.#only(path);
    for (const folder of folders) {
      const place = folder === '' || path.startsWith('/') ? path : `${folder}/${path}`;
      const file = await findWorkspaceFile(place, this.#sent.folders);
      if (file) return file;
    }
    return undefined;
  }

  async #only(name: string): Promise<vscode.Uri | undefined> {
    if (!this.#byName.has(name)) this.#byName.set(name, findOnlyFile(name, this.#sent.root));
    const file = await this.#byName.get(name);
    return file === undefined ? undefined : vscode.Uri.file(file);
  }
}

/** Those of one file are told at once, as each time VS Code is told all that there are; and it is looked for once. */
async function show(problems: readonly Problem[], task: string, { shown, edits, files }: Showing): Promise<void> {
  const found = new Map<string, { readonly file: vscode.Uri; readonly diagnostics: vscode.Diagnostic[] }>();
  const known = new Map<string, vscode.Uri | undefined>();
  for (const problem of problems) {
    const key = JSON.stringify([problem.path, problem.folders, problem.isInAnyFolder]);
    if (!known.has(key)) known.set(key, await files.find(problem));
    const file = known.get(key);
    const now = file && edits.placeNow(file, { line: problem.line - 1, character: problem.column - 1 });
    if (!file || !now) continue;
    const of = found.get(file.toString()) ?? { file, diagnostics: [...(shown.get(file) ?? [])] };
    of.diagnostics.push(diagnosticOf(problem, now, task));
    found.set(file.toString(), of);
  }
  for (const { file, diagnostics } of found.values()) shown.set(file, diagnostics);
}

/** @param now where its place is now */
function diagnosticOf(problem: Problem, now: Place, task: string): vscode.Diagnostic {
  const diagnostic = new vscode.Diagnostic(rangeOf(problem, now), problem.message, SEVERITIES[problem.severity]);
  diagnostic.source = `Simple CI: ${task} (${problem.source})`;
  if (problem.code !== undefined) diagnostic.code = problem.code;
  return diagnostic;
}

/** @param now where its place is now */
function rangeOf({ line, column, end }: Problem, now: Place): vscode.Range {
  const start = new vscode.Position(now.line, now.character);
  if (!end) return new vscode.Range(start, start);
  const moved = end.line === line ? now.character - (column - 1) : 0;
  return new vscode.Range(start, new vscode.Position(now.line + end.line - line, end.column - 1 + moved));
}
