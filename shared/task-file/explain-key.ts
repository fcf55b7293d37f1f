import { isMap, isScalar, isSeq, parseDocument } from 'yaml';
import { keysAt } from './forms.ts';
import type { Path } from './problem.ts';
import { MAX_TASK_FILE_BYTES } from './task-file-document.ts';

export interface KeyExplanation {
  readonly text: string;
  /** Where the key stands: characters from `from` up to but without `to`. */
  readonly from: number;
  readonly to: number;
}

/** What the key of a task file at this offset means; undefined where there is none, or where it is the user's own word. */
export function explainKey(text: string, offset: number): KeyExplanation | undefined {
  if (text.length > MAX_TASK_FILE_BYTES) return undefined;
  const { contents } = parseDocument(text, { prettyErrors: false, logLevel: 'silent' });
  return explainIn(contents, [], offset);
}

function explainIn(node: unknown, path: Path, offset: number): KeyExplanation | undefined {
  if (isSeq(node)) return firstOf(node.items, (item, index) => explainIn(item, [...path, index], offset));
  if (!isMap(node)) return undefined;
  return firstOf(node.items, ({ key, value }) => {
    if (!isScalar(key) || !key.range) return undefined;
    const word = String(key.value);
    const [from, to] = key.range;
    if (offset < from || offset > to) return explainIn(value, [...path, word], offset);
    const description = keysAt(path).get(word)?.description;
    return description === undefined ? undefined : { text: description, from, to };
  });
}

function firstOf<T, R>(items: readonly T[], look: (item: T, index: number) => R | undefined): R | undefined {
  for (const [index, item] of items.entries()) {
    const found = look(item, index);
    if (found !== undefined) return found;
  }
  return undefined;
}
