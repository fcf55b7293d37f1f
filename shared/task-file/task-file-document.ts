import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  parseDocument,
  type Range,
  visit,
} from 'yaml';
import { quote } from '../ids.ts';
import { visible } from '../visible.ts';
import { findJsonMistake } from './json-mistake.ts';
import { formatPath, type Path, type TaskFileProblem } from './problem.ts';

/** A task file as text that was understood: its value, and where in the text each part of it stands. */
export interface TaskFileDocument {
  readonly value: unknown;
  /** Where a value stands; for one that is missing, where the nearest thing around it stands. */
  positionOf(path: Path): { readonly line: number; readonly column: number };
  /** Where the key of an entry stands. */
  keyPositionOf(path: Path): { readonly line: number; readonly column: number };
}

export const MAX_TASK_FILE_BYTES = 65_536;
const MAX_DEPTH = 32;
const FORBIDDEN_KEYS: readonly string[] = ['__proto__', 'constructor', 'prototype', '<<'];

/**
 * Reads YAML 1.2 without what makes it dangerous or surprising: no anchors and aliases (nor bombs made of them), no merge
 * keys, no keys but words and numbers, each only once, no deep nesting. JSON is read as strictly as JSON is.
 */
export function readTaskFileDocument(text: string, isJson: boolean): TaskFileDocument | TaskFileProblem[] {
  const size = new TextEncoder().encode(text).length;
  if (size > MAX_TASK_FILE_BYTES) return [atStart(`is too large: ${size} bytes, at most ${MAX_TASK_FILE_BYTES}`)];
  if (opensTooMany(text)) return [atStart(`is nested deeper than ${MAX_DEPTH} levels`)];
  const lines = countLines(text);
  const document = parseDocument(text, { prettyErrors: false, logLevel: 'error' });
  const problems = [...(isJson ? jsonProblems(text, lines) : []), ...syntaxProblems(document, lines)];
  if (problems.length > 0) return problems.slice(0, MAX_PROBLEMS);
  const refused = refusals(document.contents, [], lines);
  if (refused.length > 0) return refused.slice(0, MAX_PROBLEMS);
  return new ReadDocument(document, lines);
}

export const MAX_PROBLEMS = 50;
const LONGEST_MESSAGE = 200;

/** Finds out before parsing, which takes seconds and all of the stack for 60,000 opening brackets. */
function opensTooMany(text: string): boolean {
  let depth = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') depth++;
    if (token === ']' || token === '}') depth--;
    if (depth > MAX_DEPTH) return true;
  }
  return false;
}

class ReadDocument implements TaskFileDocument {
  readonly value: unknown;
  readonly #document: Document;
  readonly #lines: LineCounter;

  constructor(document: Document, lines: LineCounter) {
    this.#document = document;
    this.#lines = lines;
    this.value = document.toJS({ maxAliasCount: 0 });
  }

  positionOf(path: Path) {
    let node: unknown = this.#document.contents;
    for (const part of path) {
      const next = isMap(node) || isSeq(node) ? node.get(part, true) : undefined;
      if (next === undefined || next === null) break;
      node = next;
    }
    return position(node, this.#lines);
  }

  keyPositionOf(path: Path) {
    const parent = this.#document.getIn(path.slice(0, -1), true) ?? this.#document.contents;
    const key = String(path.at(-1));
    const pair = isMap(parent)
      ? parent.items.find(item => isScalar(item.key) && String(item.key.value) === key)
      : undefined;
    return pair ? position(pair.key, this.#lines) : this.positionOf(path);
  }
}

function syntaxProblems(document: Document.Parsed, lines: LineCounter): TaskFileProblem[] {
  return [...document.errors, ...document.warnings].map(({ pos, code, message }) => ({
    ...at(pos[0], lines),
    path: '',
    message:
      code === 'DUPLICATE_KEY'
        ? `has this key twice: ${keyAt(document, pos[0])}`
        : `cannot be read: ${clipped(message)}`,
  }));
}

/** The parser quotes what it stumbled over, to the last of its lines: line breaks, and what steers a terminal, among it. */
function clipped(message: string): string {
  const line = visible(message.replace(/\s+/g, ' '));
  return line.length > LONGEST_MESSAGE ? `${line.slice(0, LONGEST_MESSAGE - 1)}…` : line;
}

function keyAt(document: Document.Parsed, offset: number): string {
  let key = '';
  visit(document, {
    Pair: (_, pair) => {
      if (!isScalar(pair.key) || pair.key.range?.[0] !== offset) return undefined;
      key = String(pair.key.value);
      return visit.BREAK;
    },
  });
  return quote(key);
}

function jsonProblems(text: string, lines: LineCounter): TaskFileProblem[] {
  const mistake = findJsonMistake(text);
  return mistake
    ? [{ ...at(mistake.offset, lines), path: '', message: `is no JSON: ${visible(mistake.message)}` }]
    : [];
}

/** The parser itself stops counting lines at some mistakes. */
function countLines(text: string): LineCounter {
  const lines = new LineCounter();
  for (let start = 0; ; ) {
    lines.addNewLine(start);
    const newline = text.indexOf('\n', start);
    if (newline < 0) return lines;
    start = newline + 1;
  }
}

/** What YAML allows and we do not. */
function refusals(node: unknown, path: Path, lines: LineCounter): TaskFileProblem[] {
  const refuse = (what: unknown, message: string) => [{ ...position(what, lines), path: formatPath(path), message }];
  if (path.length > MAX_DEPTH) return refuse(node, `is nested deeper than ${MAX_DEPTH} levels`);
  if (isAlias(node)) return refuse(node, 'is an alias, which task files do not have');
  if (hasAnchor(node)) return refuse(node, 'has an anchor, which task files do not have');
  if (isSeq(node)) return node.items.flatMap((item, index) => refusals(item, [...path, index], lines));
  if (!isMap(node)) return [];
  return node.items.flatMap(pair => {
    if (!isPair(pair) || !isScalar(pair.key)) return refuse(pair.key, 'has a key that is no word');
    const key = String(pair.key.value);
    if (hasAnchor(pair.key)) return refuse(pair.key, 'has an anchor, which task files do not have');
    if (FORBIDDEN_KEYS.includes(key)) return refuse(pair.key, `has a key that is not allowed: ${key}`);
    return refusals(pair.value, [...path, key], lines);
  });
}

function hasAnchor(node: unknown): boolean {
  return (isMap(node) || isSeq(node) || isScalar(node)) && node.anchor !== undefined;
}

function position(node: unknown, lines: LineCounter) {
  const range = (node as { range?: Range } | undefined)?.range;
  return at(range?.[0] ?? 0, lines);
}

function at(offset: number, lines: LineCounter): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

function atStart(message: string): TaskFileProblem {
  return { line: 1, column: 1, path: '', message };
}
