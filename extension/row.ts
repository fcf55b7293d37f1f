/** A row of a tree as data: what people see of it, and which menus it has. */
export interface Row {
  /** Stays the same while the thing is the same: selection and folds hang on it. */
  readonly id: string;
  readonly label: string;
  readonly description?: string;
  readonly icon: RowIcon;
  /** What menus ask for: one word of `ROW_KINDS`. */
  readonly kind: RowKind;
  readonly expandable: boolean;
  /** For screen readers: label and icon in words. */
  readonly spoken: string;
  /** The task that it belongs to. */
  readonly task?: string;
  /** Of an artifact, within its task. */
  readonly path?: string;
  readonly attempt?: number;
  /** The offset of a line of that attempt’s log. */
  readonly line?: number;
}

export const ROW_KINDS = [
  'task-queued',
  'task-running',
  'task-finished',
  'step',
  'attempt',
  'artifact',
  'node',
  'note',
] as const;
export type RowKind = (typeof ROW_KINDS)[number];

export interface RowIcon {
  /** Of VS Code's own icons. */
  readonly name: string;
  /** Of the theme. */
  readonly color?: string;
}

/** Whether two rows look the same. */
export function isSameRow(a: Row, b: Row): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
