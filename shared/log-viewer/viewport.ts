import type { LogRow, LogWindow } from '../log-model/log-window.ts';
import { atEnd, type ScrollPosition, scrolledBy, showing, thumb } from '../log-model/scroll-position.ts';

/** A scroll bar's thumb: start and length as parts of the track. */
export interface Thumb {
  readonly start: number;
  readonly length: number;
}

const DEFAULT_ROW_PX = 18;
const SMALLEST_THUMB = 0.04;
const WHOLE: Thumb = { start: 0, length: 1 };

/** Which rows of a log are in sight, and whether that is its end and stays so as it grows. All rows have one height. */
export class Viewport {
  #position: ScrollPosition = { index: 0, part: 0 };
  #isFollowing = true;
  /** How big the log was when following ended. */
  #leftAt = 0;
  /** What is at the top, by name: rows come and go before it. */
  #anchor: { readonly key: string; readonly offset: number; readonly part: number } | undefined;
  #rowPx = DEFAULT_ROW_PX;
  #viewPx = 0;

  get isFollowing(): boolean {
    return this.#isFollowing;
  }

  get rowPx(): number {
    return this.#rowPx;
  }

  /** Of the first row in sight. */
  get index(): number {
    return this.#position.index;
  }

  /** What of the first row is above the edge. */
  get hiddenPx(): number {
    return Math.round(this.#position.part * this.#rowPx);
  }

  /** How many rows there is room for. */
  get visible(): number {
    return Math.max(1, this.#viewPx / this.#rowPx);
  }

  /** Another log: its end. */
  reset(): void {
    this.#isFollowing = true;
    this.#position = { index: 0, part: 0 };
    this.#anchor = undefined;
  }

  measure(view: HTMLElement): void {
    const size = Number.parseFloat(getComputedStyle(view).fontSize) || 13;
    this.#rowPx = Math.round(size * 1.4);
    this.#viewPx = view.clientHeight;
  }

  /** The rows in sight. */
  seen(rows: readonly LogRow[]): readonly LogRow[] {
    return rows.slice(this.index, this.index + Math.ceil(this.visible) + 1);
  }

  /** Whether something came since following ended. */
  hasNews(window: LogWindow): boolean {
    return window.size > this.#leftAt;
  }

  follow(): void {
    this.#isFollowing = true;
  }

  letGo(size: number): void {
    if (this.#isFollowing) this.#leftAt = size;
    this.#isFollowing = false;
  }

  /** After rows came, went, or were folded: keeps in sight what was in sight. */
  settle(rows: readonly LogRow[]): void {
    const anchor = this.#anchor;
    if (this.#isFollowing) this.#position = atEnd(rows.length, this.visible);
    else if (anchor) {
      const at = rows.findIndex(row => row.key === anchor.key);
      const index = at >= 0 ? at : rows.findIndex(row => row.offset >= anchor.offset);
      this.#goTo(rows, Math.max(0, index) + anchor.part);
    }
    this.#keep(rows);
  }

  /** Away from the end it lets go of it; at the end it follows again. */
  scrollBy(by: number, { rows, reachesEnd, size }: LogWindow): void {
    this.#position = scrolledBy(this.#position, by, rows.length, this.visible);
    const end = atEnd(rows.length, this.visible);
    const isAtEnd = this.index === end.index && this.#position.part >= end.part - 0.01 && reachesEnd;
    if (isAtEnd && (by > 0 || this.#isFollowing)) this.follow();
    else this.letGo(size);
    this.#keep(rows);
  }

  /** Scrolls no further than is needed to see the row. Whoever goes to the last one follows, whoever goes elsewhere reads. */
  reveal(index: number, by: number, window: LogWindow): void {
    const top = this.index + this.#position.part;
    const above = Math.min(0, index - top);
    const below = Math.max(0, index + 1 - this.visible - top);
    const isLast = index === window.rows.length - 1;
    if (!isLast) this.letGo(window.size);
    this.scrollBy(above + below || (isLast ? Math.max(0, by) : 0), window);
  }

  /** Brings the first row at or after the offset into sight, with some before it. */
  show(offset: number, rows: readonly LogRow[]): void {
    const index = rows.findIndex(row => row.offset >= offset);
    this.#position = showing(index < 0 ? rows.length : index, rows.length, this.visible);
    this.#keep(rows);
  }

  /** The first row at or after the offset at the top. */
  putAtTop(offset: number, rows: readonly LogRow[]): void {
    this.#goTo(
      rows,
      Math.max(
        0,
        rows.findIndex(row => row.offset >= offset),
      ),
    );
    this.#keep(rows);
  }

  /** Where in the bytes of the log the rows in sight are. */
  thumb(window: LogWindow | undefined): Thumb {
    const rows = window?.rows ?? [];
    const first = rows[this.index];
    const last = rows[Math.min(rows.length - 1, Math.floor(this.index + this.visible - 1))];
    if (!window || !first || !last) return WHOLE;
    if (rows.length <= this.visible && window.reachesStart && window.reachesEnd) return WHOLE;
    // While it follows, the thumb is where the log ends, whatever a folded step hides.
    const to = this.#isFollowing ? window.size : last.kind === 'output' ? last.end : last.offset;
    return thumb({ from: first.offset, to: Math.max(to, first.offset + 1) }, Math.max(1, window.size), SMALLEST_THUMB);
  }

  #goTo(rows: readonly LogRow[], top: number): void {
    this.#position = scrolledBy({ index: 0, part: 0 }, top, rows.length, this.visible);
  }

  #keep(rows: readonly LogRow[]): void {
    const row = rows[this.index];
    this.#anchor = row && { key: row.key, offset: row.offset, part: this.#position.part };
  }
}
