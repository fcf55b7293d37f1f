import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';

export interface TaskPlace {
  readonly name: string;
  /** Counted from 0. */
  readonly line: number;
}

/** Larger texts are no task files. Characters. */
const MOST_CHARACTERS = 65_536;

/** Where the tasks of a task file stand, YAML or JSON, also while somebody types and parts of it are wrong. */
export function taskPlaces(text: string): TaskPlace[] {
  if (text.length > MOST_CHARACTERS) return [];
  const lines = new LineCounter();
  const { contents } = parseDocument(text, { lineCounter: lines, logLevel: 'silent', prettyErrors: false });
  const tasks = isMap(contents) ? contents.get('tasks', true) : undefined;
  if (!isMap(tasks)) return [];
  return tasks.items.flatMap(({ key }) => {
    if (!isScalar(key) || typeof key.value !== 'string' || !key.range) return [];
    return [{ name: key.value, line: lines.linePos(key.range[0]).line - 1 }];
  });
}
