import { html, LitElement, nothing, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import type { LogEvent } from '../log.ts';
import { compileQuery, type LogQuery } from '../log-model/log-search.ts';
import type { TextLink } from '../log-model/links.ts';
import { LogWindow } from '../log-model/log-window.ts';
import { type PanelTask, TIMESTAMP_STYLES, type TimestampStyle } from '../log-model/panel-messages.ts';
import { atEnd, offsetOfThumb, type ScrollPosition, scrolledBy, showing, thumb } from '../log-model/scroll-position.ts';
import { ICONS } from './icons.ts';
import type { LogSource } from './log-source.ts';
import { rowTemplate } from './row-template.ts';
import { NO_SEARCH, type Search, searchBar } from './search-bar.ts';
import { styles } from './styles.ts';
import { taskBar } from './task-bar.ts';

/** Rows nearer to an end of what is at hand than this make it read on. */
const READ_AHEAD_ROWS = 300;
const SMALLEST_THUMB = 0.04;
/** More lines than this are not marked in the scroll bar one by one. */
const MOST_MARKS = 1000;
const DEFAULT_ROW_PX = 18;

/**
 * Shows the log of a task: follows it at its end, scrolls through all of it, folds its steps, searches it. Memory does not grow with the log:
 * rows are drawn only where they are seen, and a few megabytes around are kept.
 *
 * Events: `log-link` (a TextLink) when somebody follows one, `log-attempt` (a number) when another attempt is wanted, `log-position`
 * when what is seen has changed.
 */
export class LogViewer extends LitElement {
  static override readonly styles = styles;
  source: LogSource | undefined;
  #task: PanelTask | undefined;
  #attempt: number | undefined;
  #fence: number | undefined;
  #window: LogWindow | undefined;
  #position: ScrollPosition = { index: 0, part: 0 };
  #isFollowing = true;
  #hasEnded = false;
  /** How big the log was when following ended. */
  #leftAt = 0;
  #problem: string | undefined;
  #lostNote: string | undefined;
  #timestamps: TimestampStyle = 'off';
  #search: Search = NO_SEARCH;
  #query: LogQuery = { text: '', isRegExp: false, isCaseSensitive: false };
  #isSearchOpen = false;
  #reading: 'before' | 'after' | 'around' | undefined;
  /** Where to go once the log has begun. */
  #goTo: number | undefined;
  #dragged: { readonly grip: number } | undefined;
  #rowPx = DEFAULT_ROW_PX;
  #viewPx = 0;
  #resize: ResizeObserver | undefined;

  get timestamps(): TimestampStyle {
    return this.#timestamps;
  }

  set timestamps(style: TimestampStyle) {
    this.#timestamps = style;
    this.#moved();
  }

  set task(task: PanelTask | undefined) {
    this.#task = task;
    this.requestUpdate();
  }

  /** The offset of the first row that is seen; undefined while it follows. */
  get offset(): number | undefined {
    return this.#isFollowing ? undefined : this.#window?.rows[this.#position.index]?.offset;
  }

  get attempt(): number | undefined {
    return this.#attempt;
  }

  /** Another log, or another attempt at it. */
  restart(attempt: number | undefined, offset?: number): void {
    this.#attempt = attempt;
    this.#goTo = offset;
    this.#forget();
  }

  /** What the log goes on with. */
  push(events: readonly LogEvent[]): void {
    let rest = events;
    for (let at = events.findIndex(isAttempt); at >= 0; at = rest.findIndex(isAttempt)) {
      this.#window?.follow(rest.slice(0, at), this.#isFollowing);
      const begin = rest[at];
      if (begin?.kind === 'attempt') this.#begin(begin.fence, begin.offset, begin.attempt, begin.node);
      rest = rest.slice(at + 1);
    }
    this.#window?.follow(rest, this.#isFollowing);
    for (const event of rest) if (event.kind === 'end') this.#ended(event.reason);
    this.#windowChanged();
  }

  failed(message: string): void {
    this.#problem = message;
    this.requestUpdate();
  }

  openSearch(): void {
    this.#isSearchOpen = true;
    this.requestUpdate();
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLInputElement>('#query')?.select());
  }

  nextTimestamps(): void {
    const at = TIMESTAMP_STYLES.indexOf(this.#timestamps);
    this.timestamps = TIMESTAMP_STYLES[(at + 1) % TIMESTAMP_STYLES.length]!;
  }

  override firstUpdated(): void {
    const view = this.#view;
    if (!view) return;
    this.#resize = new ResizeObserver(() => this.#measure());
    this.#resize.observe(view);
    view.addEventListener('wheel', event => this.#wheel(event), { passive: false });
    this.#measure();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resize?.disconnect();
  }

  override render(): TemplateResult {
    return html`${this.#bar()}${this.#isSearchOpen ? this.#searchBar() : html`<div></div>`}
      <div class="body">
        <div class="view" id="view" role="list" tabindex="0" aria-label=${this.#task ? `Log of ${this.#task.name}` : 'Log'} @keydown=${this.#key}>${this.#rows()}</div>
        ${this.#track()}${this.#pill()}
      </div>`;
  }

  // What is drawn

  #bar(): TemplateResult {
    if (!this.#task) return html`<div class="bar"></div>`;
    return taskBar({
      task: this.#task,
      note: this.#problem ?? this.#lostNote,
      attempt: this.#attempt,
      steps: this.#window?.steps ?? [],
      timestamps: this.#timestamps,
      isSearchOpen: this.#isSearchOpen,
      onAttempt: attempt => this.#tell('log-attempt', attempt),
      onStep: ({ start }) => void this.#show(start),
      onTimestamps: () => this.nextTimestamps(),
      onSearch: () => (this.#isSearchOpen ? this.#closeSearch() : this.openSearch()),
    });
  }

  #searchBar(): TemplateResult {
    return searchBar({
      query: this.#query,
      search: this.#search,
      onQuery: query => {
        this.#query = query;
        void this.#find();
      },
      onStep: by => this.#step(by),
      onClose: () => this.#closeSearch(),
    });
  }

  #rows(): TemplateResult {
    const rows = this.#window?.rows ?? [];
    if (rows.length === 0) return html`<div class="empty">${this.#emptyText()}</div>`;
    const { index, part } = this.#position;
    const seen = rows.slice(index, index + Math.ceil(this.#visible) + 1);
    const { hits, at, wanted } = this.#search;
    const context = {
      wanted,
      current: hits[at],
      timestamps: this.#timestamps,
      began: this.#window?.steps[0]?.time ?? rows[0]?.time ?? 0,
      fold: (step: number, isFolded: boolean) => this.#fold(step, isFolded),
      follow: (link: TextLink) => this.#tell('log-link', link),
    };
    const shift = `transform: translateY(${-Math.round(part * this.#rowPx)}px)`;
    return html`<div class="rows" .style=${shift}>${repeat(
      seen,
      row => row.key,
      row => rowTemplate(row, context),
    )}</div>`;
  }

  #emptyText(): string {
    if (this.#problem !== undefined) return this.#problem;
    if (!this.#task) return 'Choose a task in the side bar, or run one, to see its log here.';
    if (this.#task.isFinished) return this.#fence === undefined ? this.#task.message : 'It printed nothing.';
    return this.#fence === undefined ? this.#task.message : 'Nothing printed yet.';
  }

  #track(): TemplateResult {
    const { start, length } = this.#thumb;
    const size = this.#window?.size ?? 0;
    const style = `top: ${(start * 100).toFixed(3)}%; height: ${(length * 100).toFixed(3)}%`;
    const { hits } = this.#search;
    const stride = Math.ceil(hits.length / MOST_MARKS) || 1;
    const marks = hits.filter((_, i) => i % stride === 0).map(offset => `top: ${((offset / size) * 100).toFixed(2)}%`);
    return html`<div class="track" aria-hidden="true" @pointerdown=${this.#grip} @pointermove=${this.#drag} @pointerup=${this.#release} @pointercancel=${this.#release}>
      ${length >= 1 ? nothing : html`<div class=${this.#dragged ? 'thumb dragged' : 'thumb'} .style=${style}></div>`}
      ${marks.map(mark => html`<div class="hit" .style=${mark}></div>`)}
    </div>`;
  }

  #pill(): TemplateResult | typeof nothing {
    if (this.#isFollowing || !this.#window || this.#thumb.length >= 1) return nothing;
    const isNew = this.#window.size > this.#leftAt;
    return html`<button class="pill" @click=${() => this.#toEnd()}>${ICONS.toEnd}${isNew ? 'New lines' : 'To the end'}</button>`;
  }

  // Where one is

  get #view(): HTMLElement | null {
    return this.renderRoot.querySelector<HTMLElement>('#view');
  }

  /** How many rows there is room for. */
  get #visible(): number {
    return Math.max(1, this.#viewPx / this.#rowPx);
  }

  get #thumb(): { readonly start: number; readonly length: number } {
    const window = this.#window;
    const rows = window?.rows ?? [];
    const first = rows[this.#position.index];
    const last = rows[Math.min(rows.length - 1, Math.floor(this.#position.index + this.#visible - 1))];
    if (!window || !first || !last) return { start: 0, length: 1 };
    const isAll = rows.length <= this.#visible && window.reachesStart && window.reachesEnd;
    if (isAll) return { start: 0, length: 1 };
    // While it follows, the thumb is where the log ends, whatever a folded step hides.
    const to = this.#isFollowing ? window.size : last.kind === 'output' ? last.end : last.offset;
    return thumb({ from: first.offset, to: Math.max(to, first.offset + 1) }, Math.max(1, window.size), SMALLEST_THUMB);
  }

  #measure(): void {
    const view = this.#view;
    if (!view) return;
    const size = Number.parseFloat(getComputedStyle(view).fontSize) || 13;
    this.#rowPx = Math.round(size * 1.4);
    this.style.setProperty('--row-height', `${this.#rowPx}px`);
    this.#viewPx = view.clientHeight;
    this.#windowChanged();
  }

  /** After rows came, went, or were folded: keeps in sight what was in sight. */
  #windowChanged(anchor = this.#anchor): void {
    const rows = this.#window?.rows ?? [];
    if (this.#isFollowing) this.#position = atEnd(rows.length, this.#visible);
    else if (anchor) {
      const at = rows.findIndex(row => row.key === anchor.key);
      const index = at >= 0 ? at : rows.findIndex(row => row.offset >= anchor.offset);
      this.#position = scrolledBy({ index: Math.max(0, index), part: anchor.part }, 0, rows.length, this.#visible);
    }
    this.#anchor = this.#anchorNow();
    this.#readOn();
    this.requestUpdate();
  }

  #anchor: { readonly key: string; readonly offset: number; readonly part: number } | undefined;

  #anchorNow() {
    const row = this.#window?.rows[this.#position.index];
    return row && { key: row.key, offset: row.offset, part: this.#position.part };
  }

  #moved(): void {
    this.#anchor = this.#anchorNow();
    this.#readOn();
    this.requestUpdate();
    this.#tell('log-position', undefined);
  }

  #scrollBy(rows: number): void {
    const window = this.#window;
    if (!window) return;
    this.#position = scrolledBy(this.#position, rows, window.rows.length, this.#visible);
    const end = atEnd(window.rows.length, this.#visible);
    const isAtEnd = this.#position.index === end.index && this.#position.part >= end.part - 0.01 && window.reachesEnd;
    this.#setFollowing(isAtEnd && (rows > 0 || this.#isFollowing));
    this.#moved();
  }

  #setFollowing(isFollowing: boolean): void {
    if (this.#isFollowing && !isFollowing) this.#leftAt = this.#window?.size ?? 0;
    this.#isFollowing = isFollowing;
  }

  async #toEnd(): Promise<void> {
    const window = this.#window;
    if (!window) return;
    if (!window.reachesEnd) await this.#jump(window.size);
    this.#setFollowing(true);
    this.#windowChanged();
    this.#tell('log-position', undefined);
  }

  /** Brings the line at the offset into sight, wherever it is. */
  async #show(offset: number): Promise<void> {
    const window = this.#window;
    if (!window) return;
    this.#setFollowing(false);
    for (const { step, start, end } of window.steps)
      if (end && offset > start && offset < end.offset) window.setFolded(step, false);
    if (!window.isAtHand(offset)) await this.#jump(offset);
    const rows = window.rows;
    const index = rows.findIndex(row => row.offset >= offset);
    this.#position = showing(index < 0 ? rows.length : index, rows.length, this.#visible);
    this.#moved();
  }

  // What is read

  #begin(fence: number, offset: number, attempt: number, node: string): void {
    const isNext = this.#fence !== undefined && this.#fence !== fence;
    const before = this.#attempt;
    this.#forget();
    if (isNext) this.#lostNote = `Attempt ${before} did not finish; attempt ${attempt} runs on ${node}`;
    this.#fence = fence;
    this.#attempt = attempt;
    this.#window = new LogWindow(offset);
    if (offset > 0) void this.#learn(fence);
    const goTo = this.#goTo;
    this.#goTo = undefined;
    if (goTo !== undefined) void this.#show(goTo);
  }

  /**
   * An attempt that is over is read, not watched: steps that passed are out of the way of the one that did not. Whoever reads already
   * keeps what he reads.
   */
  #ended(reason: 'finished' | 'lost'): void {
    if (reason === 'lost')
      this.#lostNote = 'The attempt was lost with its node: its last second of output may be missing';
    this.#hasEnded = true;
    this.#foldPassed();
  }

  #foldPassed(): void {
    const window = this.#window;
    if (!this.#isFollowing || !window?.steps.some(({ end }) => end !== undefined && end.text !== 'passed')) return;
    for (const { step, end } of window.steps) if (end?.text === 'passed') window.setFolded(step, true);
  }

  /** Of a log that began before what is shown: its steps, for the list and for folds. */
  async #learn(fence: number): Promise<void> {
    const window = this.#window;
    // Without them the log can be read all the same.
    const marks = (await this.source?.marks(fence).catch(() => undefined)) ?? [];
    if (window !== this.#window) return;
    window?.learn(marks);
    if (this.#hasEnded) this.#foldPassed();
    this.#windowChanged();
  }

  #forget(): void {
    this.#hasEnded = false;
    this.#window = undefined;
    this.#fence = undefined;
    this.#problem = undefined;
    this.#lostNote = undefined;
    this.#isFollowing = true;
    this.#position = { index: 0, part: 0 };
    this.#anchor = undefined;
    this.#search = NO_SEARCH;
    this.source?.stopSearch();
    this.requestUpdate();
  }

  #readOn(): void {
    const window = this.#window;
    if (!window || this.#reading !== undefined) return;
    const { index } = this.#position;
    const before = index < READ_AHEAD_ROWS ? window.before() : undefined;
    const after = index + this.#visible > window.rows.length - READ_AHEAD_ROWS ? window.after() : undefined;
    if (before) void this.#read('before', before);
    else if (after) void this.#read('after', after);
  }

  async #jump(offset: number): Promise<void> {
    const range = this.#window?.around(offset);
    if (range) await this.#read('around', range);
  }

  async #read(
    what: 'before' | 'after' | 'around',
    range: { readonly from: number; readonly to: number },
  ): Promise<void> {
    const window = this.#window;
    const fence = this.#fence;
    if (!window || fence === undefined || !this.source) return;
    this.#reading = what;
    try {
      const events = await this.source.read(fence, range);
      if (window !== this.#window) return;
      if (what === 'before') window.prepend(events, range);
      else if (what === 'after') window.append(events, range);
      else window.replace(events, range);
      this.#reading = undefined;
      this.#windowChanged();
    } catch (error) {
      this.failed(error instanceof Error ? error.message : String(error));
    } finally {
      this.#reading = undefined;
    }
  }

  #fold(step: number, isFolded: boolean): void {
    this.#setFollowing(this.#isFollowing && isFolded);
    this.#window?.setFolded(step, isFolded);
    this.#windowChanged();
  }

  // What is searched

  async #find(): Promise<void> {
    const fence = this.#fence;
    this.source?.stopSearch();
    this.#search = NO_SEARCH;
    this.requestUpdate();
    if (this.#query.text === '' || fence === undefined || !this.source) return;
    const wanted = compileQuery(this.#query);
    if (typeof wanted === 'string') {
      this.#search = { ...NO_SEARCH, problem: wanted };
      return;
    }
    const query = this.#query;
    this.#search = { ...NO_SEARCH, wanted, hits: [], isDone: false };
    const problem = await this.source.search(fence, query, offsets => {
      if (this.#query === query) this.#found(offsets);
    });
    if (this.#query !== query) return;
    this.#search = { ...this.#search, isDone: true, problem };
    this.requestUpdate();
    // All that there is lies before where one is.
    if (this.#search.at < 0) this.#step(1);
  }

  /** The first line found from where one is on is shown at once. */
  #found(offsets: readonly number[]): void {
    this.#search.hits.push(...offsets);
    this.requestUpdate();
    if (this.#search.at >= 0) return;
    const here = this.#isFollowing ? 0 : (this.#window?.rows[this.#position.index]?.offset ?? 0);
    const at = this.#search.hits.findIndex(offset => offset >= here);
    if (at < 0) return;
    this.#search = { ...this.#search, at };
    void this.#show(this.#search.hits[at]!);
  }

  #step(by: number): void {
    const { hits, at } = this.#search;
    if (hits.length === 0) return;
    const next = (at + by + hits.length) % hits.length;
    this.#search = { ...this.#search, at: next };
    void this.#show(hits[next]!);
  }

  #closeSearch(): void {
    this.#isSearchOpen = false;
    this.#query = { ...this.#query, text: '' };
    void this.#find();
    this.#view?.focus();
  }

  // What people do

  #wheel(event: WheelEvent): void {
    if (event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
    event.preventDefault();
    const rows = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY : event.deltaY / this.#rowPx;
    this.#scrollBy(event.deltaMode === WheelEvent.DOM_DELTA_PAGE ? event.deltaY * this.#visible : rows);
  }

  #key(event: KeyboardEvent): void {
    if ((event.ctrlKey || event.metaKey) && event.key === 'f') this.openSearch();
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key === 'ArrowUp') this.#scrollBy(-1);
    else if (event.key === 'ArrowDown') this.#scrollBy(1);
    else if (event.key === 'PageUp') this.#scrollBy(-(this.#visible - 1));
    else if (event.key === 'PageDown') this.#scrollBy(this.#visible - 1);
    else if (event.key === 'Home') void this.#show(0);
    else if (event.key === 'End') void this.#toEnd();
    else return;
    event.preventDefault();
  }

  #grip(event: PointerEvent): void {
    const track = event.currentTarget as HTMLElement;
    const { top, height } = track.getBoundingClientRect();
    const { start, length } = this.#thumb;
    if (length >= 1) return;
    const at = (event.clientY - top) / height;
    const isOnThumb = at >= start && at <= start + length;
    this.#dragged = { grip: isOnThumb ? at - start : length / 2 };
    track.setPointerCapture(event.pointerId);
    if (!isOnThumb) this.#drag(event);
  }

  #drag(event: PointerEvent): void {
    if (!this.#dragged || !this.#window) return;
    const { top, height } = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const start = (event.clientY - top) / height - this.#dragged.grip;
    const { length } = this.#thumb;
    if (start >= 1 - length) void this.#toEnd();
    else void this.#dragTo(offsetOfThumb(start, length, this.#window.size));
  }

  /** While something is read on the way, the last place asked for counts. */
  async #dragTo(offset: number): Promise<void> {
    const window = this.#window;
    if (!window || this.#reading === 'around') return;
    this.#setFollowing(false);
    if (!window.isAtHand(offset)) await this.#jump(offset);
    const index = window.rows.findIndex(row => row.offset >= offset);
    this.#position = scrolledBy({ index: Math.max(0, index), part: 0 }, 0, window.rows.length, this.#visible);
    this.#moved();
  }

  #release(): void {
    this.#dragged = undefined;
    this.requestUpdate();
  }

  #tell(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function isAttempt({ kind }: LogEvent): boolean {
  return kind === 'attempt';
}

/** Called once by each page that shows logs. */
export function defineLogViewer(): void {
  customElements.define('log-viewer', LogViewer);
}

declare global {
  interface HTMLElementTagNameMap {
    'log-viewer': LogViewer;
  }
}
