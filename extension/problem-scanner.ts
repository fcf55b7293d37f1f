import { plainLine } from '../shared/log-model/ansi.ts';
import { type GoTestLine, GoTestLines } from './go-test-lines.ts';

/** What a compiler, linter or test says of a place in a file. Lines and columns are counted from 1. */
export interface Problem {
  readonly path: string;
  readonly line: number;
  readonly column: number;
  /** Just after it, if that was told. */
  readonly end?: { readonly line: number; readonly column: number };
  /** Folders of the workspace that the path may be counted from; its root if absent. */
  readonly folders?: readonly string[];
  /** The path is a name alone, of a file in any folder: only where there is no other of that name is it the one that is meant. */
  readonly isInAnyFolder?: true;
  readonly severity: 'error' | 'warning' | 'information';
  readonly message: string;
  /** Such as `TS2322`, or the name of a rule. */
  readonly code?: string;
  /** The tool, as far as its way of speaking tells. */
  readonly source: string;
}

/** A way of speaking that needs one line: the expression has named groups. */
const SINGLE_LINE: readonly { readonly source: string; readonly expression: RegExp }[] = [
  {
    source: 'tsc',
    expression:
      /^(?<path>[^\s(][^(]*)\((?<line>\d+),(?<column>\d+)\): (?<severity>error|warning) (?<code>TS\d+): (?<message>.+)$/,
  },
  {
    source: 'tsc',
    expression:
      /^(?<path>\S[^:]*):(?<line>\d+):(?<column>\d+) - (?<severity>error|warning) (?<code>TS\d+): (?<message>.+)$/,
  },
  {
    source: 'eslint',
    expression:
      /^(?<path>\S[^:]*): line (?<line>\d+), col (?<column>\d+), (?<severity>Error|Warning) - (?<message>.+?)(?: \((?<code>[\w@/-]+)\))?$/,
  },
  {
    source: 'javac',
    expression: /^(?: {2})?(?<path>\S[^:]*\.java):(?<line>\d+): (?<severity>error|warning): (?<message>.+)$/,
  },
  {
    source: 'maven',
    expression:
      /^\[(?<severity>ERROR|WARNING)\] +(?<path>\S[^:]*\.\w+):\[(?<line>\d+)(?:,(?<column>-?\d+))?\] (?:(?:error|warning): )?(?<message>.+)$/,
  },
  {
    source: 'mypy',
    expression:
      /^(?<path>\S[^:]*\.pyi?):(?<line>\d+):(?:(?<column>\d+):)? (?<severity>error|warning|note): (?<message>.+?)(?: {2}\[(?<code>[\w-]+)\])?$/,
  },
  {
    source: 'flake8',
    expression: /^(?<path>\S[^:]*\.pyi?):(?<line>\d+):(?<column>\d+): (?<code>[A-Z]{1,4}\d{1,5}) (?<message>.+)$/,
  },
  {
    source: 'gcc',
    expression:
      /^(?<path>\S[^:]*):(?<line>\d+):(?<column>\d+): (?:fatal )?(?<severity>error|warning|note): (?<message>.+?)(?: \[(?<code>-W[\w=+-]+)\])?$/,
  },
  { source: 'go', expression: /^(?:vet: )?(?<path>\S[^:]*\.go):(?<line>\d+):(?<column>\d+): (?<message>.+)$/ },
];

const RUST_HEAD = /^(?<severity>error|warning)(?:\[(?<code>E\d+)\])?: (?<message>.+)$/;
const RUST_PLACE = /^ *--> (?<path>\S[^:]*):(?<line>\d+):(?<column>\d+)$/;
const PYTHON_PLACE = /^ {2}File "(?<path>[^"]+)", line (?<line>\d+)/;
const PYTHON_END = /^(?<message>[A-Za-z_][\w.]*(?:Error|Exception|Warning|Interrupt|Exit)(?:: .*)?)$/;
const STYLISH_FILE = /^(?<path>(?:\/|\.{0,2}[\w@-])[^\s:]*\.[\w]{1,6})$/;
const STYLISH_LINE =
  /^ {2,}(?<line>\d+):(?<column>\d+) {2,}(?<severity>error|warning) {2,}(?<message>\S|\S.*?\S)(?: {2,}(?<code>[\w@/-]+))?$/;

/** Longer lines are no messages of compilers. */
const LONGEST_LINE = 2000;

/** Build tools for Java say it as it happens, and once more at their end. */
const SAID_TWICE: readonly string[] = ['javac', 'maven'];
/** More of them are not compared. */
const MOST_SAID = 1000;

/** Reads a log line by line and finds what is wrong with the code: gcc, clang, tsc, eslint, go, rustc, Python, javac, Maven. */
export class ProblemScanner {
  readonly #goTest = new GoTestLines();
  readonly #said = new Set<string>();
  #rust: Record<string, string | undefined> | undefined;
  #python: Record<string, string | undefined> | undefined;
  #stylish: string | undefined;

  /** Mostly none or one; with the verdict on a test, all that it has said. */
  push(text: string): readonly Problem[] {
    const line = plainLine(text).trimEnd();
    if (line.length > LONGEST_LINE) return [];
    const tested = this.#goTest.push(line);
    if (tested.length > 0) return tested.map(goTestProblem);
    const problem = this.#severalLines(line) ?? singleLine(line);
    return problem && !this.#wasSaid(problem) ? [problem] : [];
  }

  #wasSaid(problem: Problem): boolean {
    if (!SAID_TWICE.includes(problem.source)) return false;
    const key = JSON.stringify(problem);
    const wasSaid = this.#said.has(key);
    if (this.#said.size < MOST_SAID) this.#said.add(key);
    return wasSaid;
  }

  #severalLines(line: string): Problem | undefined {
    return this.#rustLine(line) ?? this.#pythonLine(line) ?? this.#stylishLine(line);
  }

  #rustLine(line: string): Problem | undefined {
    const head = RUST_HEAD.exec(line)?.groups;
    const place = RUST_PLACE.exec(line)?.groups;
    if (head) this.#rust = head;
    if (!place || !this.#rust) return undefined;
    const problem = problemOf('rustc', { ...this.#rust, ...place });
    this.#rust = undefined;
    return problem;
  }

  /** The innermost place stands last, and what went wrong after it. */
  #pythonLine(line: string): Problem | undefined {
    const place = PYTHON_PLACE.exec(line)?.groups;
    if (place) {
      this.#python = place;
      return undefined;
    }
    const end = PYTHON_END.exec(line)?.groups;
    if (!end || !this.#python) return undefined;
    const problem = problemOf('python', { ...this.#python, ...end });
    this.#python = undefined;
    return problem;
  }

  #stylishLine(line: string): Problem | undefined {
    const found = STYLISH_LINE.exec(line)?.groups;
    if (found && this.#stylish !== undefined) return problemOf('eslint', { ...found, path: this.#stylish });
    this.#stylish = STYLISH_FILE.exec(line)?.groups?.path;
    return undefined;
  }
}

function singleLine(line: string): Problem | undefined {
  for (const { source, expression } of SINGLE_LINE) {
    const found = expression.exec(line)?.groups;
    if (found) return problemOf(source, found);
  }
  return undefined;
}

function goTestProblem({ path, line, message }: GoTestLine): Problem {
  const problem = problemOf('go test', { path, line, message });
  return path.includes('/') ? problem : { ...problem, isInAnyFolder: true };
}

function problemOf(source: string, found: Record<string, string | undefined>): Problem {
  const { path = '', line, column, severity = 'error', message = '', code } = found;
  const word = severity.toLowerCase();
  return {
    path,
    line: Math.max(1, Number(line)),
    column: Math.max(1, Number(column ?? 1)),
    severity: word === 'note' ? 'information' : word === 'warning' ? 'warning' : 'error',
    message,
    source,
    ...(code !== undefined && { code }),
  };
}
