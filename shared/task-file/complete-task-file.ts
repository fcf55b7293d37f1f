import { isMap, isPair, isScalar, isSeq, type Node, type Pair, parseDocument, type YAMLMap, visit } from 'yaml';
import { choicesOf, type Form, formsAt, formsOf, keysAt } from './forms.ts';
import type { Path } from './problem.ts';
import { MAX_TASK_FILE_BYTES } from './task-file-document.ts';

/** A word that can stand where somebody types. */
export interface TaskFileCompletion {
  readonly word: string;
  readonly isKey: boolean;
  readonly description: string | undefined;
  /** Takes the place of the characters from `from` up to but without `to`. */
  readonly insert: string;
  readonly from: number;
  readonly to: number;
  /** After it comes one of a few words. */
  readonly hasChoices: boolean;
}

/** The word that is being typed, and what it is to become. */
interface Cursor {
  readonly from: number;
  readonly to: number;
  readonly isKey: boolean;
  readonly hasColon: boolean;
  /** Within { } or [ ], where lines mean nothing. */
  readonly isFlow: boolean;
}

/** Stands for what is being typed while the text is read: a character that means nothing to anybody. */
const MARK = '\ue000';

/** What may stand at an offset of a task file in YAML, also while much around it is unfinished. */
export function completeTaskFile(text: string, offset: number): readonly TaskFileCompletion[] {
  if (text.length > MAX_TASK_FILE_BYTES) return [];
  const cursor = cursorAt(text, offset);
  const place = cursor && placeOf(cursor, text);
  if (!place) return [];
  return cursor.isKey ? keyCompletions(cursor, place, text) : valueCompletions(cursor, place);
}

function keyCompletions(cursor: Cursor, { path, siblings }: Place, text: string): TaskFileCompletion[] {
  const column = cursor.from - lineStart(text, cursor.from);
  return [...keysAt(path)]
    .filter(([key]) => !siblings.includes(key))
    .map(([key, form]) => ({
      word: key,
      isKey: true,
      description: form.description,
      insert: cursor.hasColon ? key : `${key}:${afterColon(form, cursor.isFlow, column)}`,
      from: cursor.from,
      to: cursor.to,
      hasChoices: !cursor.hasColon && choicesOf(form).length > 0,
    }));
}

/** What is a map or a list only begins on the next line. */
function afterColon(form: Form, isFlow: boolean, column: number): string {
  const types = new Set(formsOf(form).map(({ type }) => type));
  const [type] = types;
  if (isFlow || types.size !== 1 || (type !== 'object' && type !== 'array')) return ' ';
  return `\n${' '.repeat(column + 2)}${type === 'array' ? '- ' : ''}`;
}

function valueCompletions({ from, to }: Cursor, { path }: Place): TaskFileCompletion[] {
  const key = path.at(-1);
  const form = typeof key === 'string' ? keysAt(path.slice(0, -1)).get(key) : undefined;
  const words = formsAt(path).flatMap(choicesOf);
  return words.map(word => ({
    word,
    isKey: false,
    description: form?.description,
    insert: word,
    from,
    to,
    hasChoices: false,
  }));
}

function cursorAt(text: string, offset: number): Cursor | undefined {
  const start = lineStart(text, offset);
  const end = text.indexOf('\n', offset);
  const typed = /(?<=^|[\s{,[])\w[\w-]*$/.exec(text.slice(start, offset))?.[0] ?? '';
  const rest = /^[\w-]*/.exec(text.slice(offset, end < 0 ? undefined : end))![0];
  const [from, to] = [offset - typed.length, offset + rest.length];
  const before = text.slice(start, from);
  const after = text.slice(to, end < 0 ? undefined : end);
  const hasColon = /^\s*:/.test(after);
  if (!hasColon && !/^\s*($|[#,}\]])/.test(after)) return undefined;
  const isFlow = /[{[,]\s*$/.test(before);
  if (isFlow || /^\s*(-\s+)*$/.test(before)) return { from, to, isKey: true, hasColon, isFlow };
  return /:\s+$/.test(before) && !hasColon ? { from, to, isKey: false, hasColon, isFlow } : undefined;
}

interface Place {
  /** Of the map, for a key; of the value itself, for a value. */
  readonly path: Path;
  readonly siblings: readonly string[];
}

function placeOf({ from, to, isKey, hasColon }: Cursor, text: string): Place | undefined {
  const marked = `${text.slice(0, from)}${MARK}${isKey && !hasColon ? ':' : ''}${text.slice(to)}`;
  const document = parseDocument(marked, { prettyErrors: false, logLevel: 'silent' });
  let place: Place | undefined;
  visit(document, {
    Scalar: (position, { value }, ancestors) => {
      if (value !== MARK || isKey !== (position === 'key')) return undefined;
      const around = ancestors.filter(node => isMap(node) || isSeq(node) || isPair(node));
      place = isKey
        ? { path: pathOf(around.slice(0, -1)), siblings: keysOf(around.at(-2)) }
        : { path: pathOf(around), siblings: [] };
      return visit.BREAK;
    },
  });
  return place;
}

/** Of the innermost of some nodes that are within one another, the outermost first. */
function pathOf(nodes: readonly (Node | Pair)[]): Path {
  return nodes.flatMap((node, at): (string | number)[] => {
    if (isPair(node)) return isScalar(node.key) ? [String(node.key.value)] : [];
    const next = nodes[at + 1];
    return isSeq(node) && next ? [node.items.indexOf(next)] : [];
  });
}

function keysOf(node: Node | Pair | undefined): string[] {
  if (!isMap(node)) return [];
  return (node as YAMLMap).items.flatMap(({ key }) => (isScalar(key) && key.value !== MARK ? [String(key.value)] : []));
}

function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}
