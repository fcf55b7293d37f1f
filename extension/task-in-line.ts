export interface TaskInLine {
  readonly index: number;
  readonly length: number;
  readonly task: string;
}

/** So this extension begins what it says in a terminal. A task may say the same: all it gets is a link to a log. */
const OWN = /^\[Simple CI\] .*?\b(?<task>[0-9][0-9a-z]{25,31})\b/d;

/** Where a line of a terminal that this extension has written names a task. */
export function taskInLine(text: string): TaskInLine | undefined {
  const [index = 0, end = 0] = OWN.exec(text)?.indices?.groups?.task ?? [];
  return end > index ? { index, length: end - index, task: text.slice(index, end) } : undefined;
}
