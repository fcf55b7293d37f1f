import type { LogRow } from '../log-model/log-window.ts';
import type { Viewport } from './viewport.ts';

/** The line that somebody has chosen: by a click, by keys, or as a search or a link led to it. Named by its key, as rows come and go. */
export class LineCursor {
  #chosen: { readonly key: string; readonly offset: number } | undefined;

  get key(): string | undefined {
    return this.#chosen?.key;
  }

  get offset(): number | undefined {
    return this.#chosen?.offset;
  }

  choose(row: LogRow | undefined): void {
    this.#chosen = row && { key: row.key, offset: row.offset };
  }

  /** The index of the row that is so many rows further, counted from what is seen if the chosen one is not. */
  indexAfter(by: number, rows: readonly LogRow[], viewport: Viewport): number {
    const { index: first, visible } = viewport;
    const last = Math.floor(first + visible) - 1;
    const at = rows.findIndex(({ key }) => key === this.key);
    const isSeen = at >= first && at <= last;
    const from = isSeen ? at : by > 0 ? last : first;
    return Math.max(0, Math.min(rows.length - 1, from + by));
  }
}
