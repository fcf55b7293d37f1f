import { fit, textWidth } from './text-width.ts';
import type { Style } from './style.ts';

export interface Column {
  readonly title: string;
  readonly align?: 'right';
  /** Gives way when the terminal is too narrow, down to 8 columns. */
  readonly flexible?: true;
}

/**
 * Lines of a table, columns two spaces apart, without a line ever longer than `width` if its flexible columns allow.
 * @param width of the terminal; undefined when it is none, and nothing needs to fit
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
  style: Style,
): string[] {
  const titles = columns.map(column => column.title);
  const widths = shrink(columns, naturalWidths([titles, ...rows]), width);
  const line = (cells: readonly string[], paint = (text: string) => text) =>
    columns
      .map((column, i) => paint(pad(fit(cells[i] ?? '', widths[i]!), widths[i]!, column.align)))
      .join('  ')
      .trimEnd();
  return [line(titles, style.dim), ...rows.map(cells => line(cells))];
}

function naturalWidths(rows: readonly (readonly string[])[]): number[] {
  return (rows[0] ?? []).map((_, i) => Math.max(...rows.map(row => textWidth(row[i] ?? ''))));
}

/** Takes from the widest flexible column, one at a time, until it fits. */
function shrink(columns: readonly Column[], widths: number[], width: number | undefined): number[] {
  if (width === undefined) return widths;
  let excess = widths.reduce((sum, one) => sum + one + 2, -2) - width;
  for (; excess > 0; excess--) {
    const flexible = widths.map((one, i) => (columns[i]?.flexible && one > 8 ? one : 0));
    const widest = flexible.indexOf(Math.max(...flexible));
    if (!flexible[widest]) break;
    widths[widest]!--;
  }
  return widths;
}

function pad(text: string, width: number, align: 'right' | undefined): string {
  const space = ' '.repeat(Math.max(0, width - textWidth(text)));
  return align === 'right' ? space + text : text + space;
}
