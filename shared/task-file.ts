import { describeIssue } from './describe-issue.ts';
import { type Step, TaskBody } from './task.ts';
import { type UnknownKey, unknownKeys } from './task-file/unknown-keys.ts';
import { formatPath, type Path, type TaskFileProblem } from './task-file/problem.ts';
import { MAX_PROBLEMS, readTaskFileDocument, type TaskFileDocument } from './task-file/task-file-document.ts';

export { describeProblem, formatProblem, type TaskFileProblem } from './task-file/problem.ts';
export { TaskFile } from './task-file/task-file-schema.ts';

export type ParsedTaskFile =
  | {
      readonly ok: true;
      /** By the name one runs them with, in the order of the file. */
      readonly tasks: ReadonlyMap<string, TaskBody>;
      /** What was understood to be nothing: unknown keys, which are kept. */
      readonly warnings: readonly TaskFileProblem[];
    }
  | { readonly ok: false; readonly problems: readonly TaskFileProblem[] };

/**
 * Reads the task file of a workspace, `simple-ci.yaml` or `.json`:
 *
 *     version: 1            # may be left out
 *     tasks:
 *       test: npm test      # a command,
 *       check:              # a list of steps,
 *         - npm ci
 *         - name: Types
 *           run: npm run types
 *       release:            # or all that a task can say, with `run` for a single step
 *         timeout: 20m
 *         run: ./release.sh
 *
 * At most 64 KiB. Bad input of any kind gives problems with their places, it never throws.
 */
export function parseTaskFile(text: string, { name }: { readonly name: string }): ParsedTaskFile {
  const document = readTaskFileDocument(text, name.endsWith('.json'));
  if (Array.isArray(document)) return { ok: false, problems: document };
  return new TaskFileReader(document).read();
}

/** Names are typed on a command line: no control characters, and nothing that looks like an option. */
const TASK_NAME = /^[^\s-][^\u0000-\u001f\u007f]{0,198}$/;

class TaskFileReader {
  readonly #document: TaskFileDocument;
  readonly #problems: TaskFileProblem[] = [];
  readonly #tasks = new Map<string, TaskBody>();

  constructor(document: TaskFileDocument) {
    this.#document = document;
  }

  read(): ParsedTaskFile {
    const file = this.#document.value;
    if (!isRecord(file)) this.#problem([], 'must be a map with tasks:');
    else this.#readFile(file);
    if (this.#problems.length > 0) return { ok: false, problems: this.#withSlips().slice(0, MAX_PROBLEMS) };
    return { ok: true, tasks: this.#tasks, warnings: this.#unknown().slice(0, MAX_PROBLEMS) };
  }

  #readFile(file: Record<string, unknown>): void {
    const { version = 1, tasks } = file;
    if (version !== 1) this.#problem(['version'], `must be 1, the only format that this release reads`);
    if (tasks === undefined) {
      const slip = unknownKeys(file).find(({ suggestion }) => suggestion === 'tasks');
      if (slip) this.#problems.push(this.#slip(slip));
      else this.#problem([], 'lacks tasks:, a map of tasks');
      return;
    }
    if (!isRecord(tasks)) {
      this.#problem(['tasks'], 'must be a map of tasks');
      return;
    }
    for (const [name, entry] of Object.entries(tasks)) this.#readTask(name, entry);
  }

  #readTask(name: string, entry: unknown): void {
    const path = ['tasks', name];
    if (!TASK_NAME.test(name)) this.#problem(path, 'must have a name without control characters or a leading -');
    const body = this.#bodyOf(path, name, entry);
    if (body === undefined) return;
    const parsed = TaskBody.safeParse(body);
    if (parsed.success) this.#tasks.set(name, parsed.data);
    else
      for (const issue of parsed.error.issues)
        this.#problem([...path, ...pathInFile(entry, keys(issue.path))], describeIssue(issue, body));
  }

  /** The long form of whatever form it is in. */
  #bodyOf(path: Path, name: string, entry: unknown): Record<string, unknown> | undefined {
    if (typeof entry === 'string') return { name, steps: [{ run: entry }] };
    if (Array.isArray(entry)) return { name, steps: entry.map(longStep) };
    if (!isRecord(entry)) {
      this.#problem(path, 'must be a command, a list of steps, or a task with steps');
      return undefined;
    }
    if ('source' in entry) this.#problem([...path, 'source'], 'cannot be set here: the source is this workspace');
    if ('run' in entry && 'steps' in entry) this.#problem([...path, 'run'], 'cannot be set beside steps');
    const { run, ...rest } = entry;
    if ('run' in entry) return { name, ...rest, steps: [{ run }] };
    return { name, ...rest, ...(Array.isArray(rest.steps) && { steps: rest.steps.map(longStep) }) };
  }

  /** A key that was meant to be another is the likely reason for what else is wrong: it is told with it, in the file's order. */
  #withSlips(): TaskFileProblem[] {
    const told = new Set(this.#problems.map(({ path }) => path));
    const slips = this.#unknown().filter(({ path, suggestion }) => suggestion !== undefined && !told.has(path));
    return [...slips, ...this.#problems].sort((a, b) => a.line - b.line || a.column - b.column);
  }

  #unknown(): TaskFileProblem[] {
    return unknownKeys(this.#document.value).map(key => this.#slip(key));
  }

  #slip({ path, suggestion, isOfSteps }: UnknownKey): TaskFileProblem {
    const place = this.#document.keyPositionOf(path);
    return {
      ...place,
      path: formatPath(path),
      message: isOfSteps ? 'is not known here: it belongs into one of its steps' : 'is not known',
      ...(suggestion !== undefined && { suggestion }),
    };
  }

  #problem(path: Path, message: string): void {
    this.#problems.push({ ...this.#document.positionOf(path), path: formatPath(path), message });
  }
}

function longStep(step: unknown): unknown {
  return typeof step === 'string' ? ({ run: step } satisfies Step) : step;
}

/** Where in the form that people wrote something of the long form is. */
function pathInFile(entry: unknown, path: Path): Path {
  const [first, step, key, ...rest] = path;
  if (first !== 'steps' || typeof step !== 'number') return path;
  if (typeof entry === 'string') return [];
  if (isRecord(entry) && 'run' in entry) return key === undefined ? ['run'] : [key, ...rest];
  const steps: unknown = isRecord(entry) ? entry.steps : entry;
  const own = Array.isArray(entry) ? [step] : [first, step];
  return Array.isArray(steps) && typeof steps[step] === 'string' ? own : [...own, ...path.slice(2)];
}

function keys(path: readonly PropertyKey[]): Path {
  return path.map(part => (typeof part === 'symbol' ? String(part) : part));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
