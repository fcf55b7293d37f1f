import * as l10n from '@vscode/l10n';
import { html, LitElement, nothing, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import type { LogEvent } from '../log.ts';
import type { TextLink } from '../log-model/links.ts';
import { type LogRow, stepKey } from '../log-model/log-window.ts';
import { type LogPlace, type PanelTask, TIMESTAMP_STYLES, type TimestampStyle } from '../log-model/panel-messages.ts';
import { ICONS } from './icons.ts';
import { LogSearching } from './log-searching.ts';
import type { LogSource } from './log-source.ts';
import { rowId, rowTemplate } from './row-template.ts';
import { ScrollBar } from './scroll-bar.ts';
import { searchBar } from './search-bar.ts';
import { ShownLog } from './shown-log.ts';
import { styles } from './styles.ts';
import { taskBar } from './task-bar.ts';

/**
 * Shows the log of a task: follows it at its end, scrolls through all of it, folds its steps, searches it. Memory does not grow with the log:
 * rows are drawn only where they are seen, and a few megabytes around are kept.
 *
 * Events: `log-link` (a TextLink) when somebody follows one, `log-attempt` (a number) when another attempt is wanted, `log-position`
 * when what is seen, or the line that is chosen, has changed.
 */
export class LogViewer extends LitElement {
  static override readonly styles = styles;
  source: LogSource | undefined;
  #task: PanelTask | undefined;
  #timestamps: TimestampStyle = 'off';
  #isSearchOpen = false;
  #resize: ResizeObserver | undefined;
  readonly #log = new ShownLog({
    source: () => this.source,
    onChanged: () => this.requestUpdate(),
    onMoved: () => this.#moved(),
    onRestarted: () => this.#restarted(),
  });
  readonly #scrollBar = new ScrollBar({
    thumb: () => this.#log.viewport.thumb(this.#log.window),
    onPulled: start => void this.#log.pullTo(start),
    onReleased: () => this.requestUpdate(),
  });
  readonly #searching = new LogSearching({
    log: () => this.#searched,
    here: () => this.offset ?? 0,
    onShow: offset => void this.#log.show(offset),
    onChanged: () => this.requestUpdate(),
  });

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
    return this.#log.offset;
  }

  get attempt(): number | undefined {
    return this.#log.attempt;
  }

  /** The offset of the line that somebody has chosen. */
  get chosen(): number | undefined {
    return this.#log.cursor.offset;
  }

  /** Another log, or another attempt at it. */
  restart(attempt: number | undefined, place?: LogPlace): void {
    this.#log.restart(attempt, place);
  }

  /** What the log goes on with. */
  push(events: readonly LogEvent[]): void {
    this.#log.push(events);
  }

  failed(message: string): void {
    this.#log.failed(message);
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
    this.#resize = new ResizeObserver(() => this.#measure(view));
    this.#resize.observe(view);
    view.addEventListener('wheel', event => this.#wheel(event), { passive: false });
    this.#measure(view);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resize?.disconnect();
  }

  override render(): TemplateResult {
    const { window, viewport } = this.#log;
    const rows = viewport.seen(window?.rows ?? []);
    const chosen = rows.find(({ key }) => key === this.#log.cursor.key);
    const label = this.#task ? l10n.t`Log of ${this.#task.name}` : l10n.t('Log');
    return html`${this.#bar()}${this.#isSearchOpen ? this.#searchBar() : html`<div></div>`}
      <div class="body">
        <div class="view" id="view" role=${rows.length > 0 ? 'tree' : 'region'} tabindex="0" aria-label=${label} aria-activedescendant=${chosen ? rowId(chosen) : nothing} @keydown=${this.#key}>${rows.length > 0 ? this.#rows(rows) : html`<div class="empty">${this.#emptyText()}</div>`}</div>
        ${this.#scrollBar.render(this.#searching.search.hits, window?.size ?? 0)}${this.#pill()}
      </div>`;
  }

  #bar(): TemplateResult {
    if (!this.#task) return html`<div class="bar"></div>`;
    return taskBar({
      task: this.#task,
      note: this.#log.problem ?? this.#log.note,
      attempt: this.attempt,
      steps: this.#log.window?.steps ?? [],
      timestamps: this.#timestamps,
      isSearchOpen: this.#isSearchOpen,
      onAttempt: attempt => this.#tell('log-attempt', attempt),
      onStep: ({ step, start }) => void this.#log.show(start, stepKey(step)),
      onTimestamps: () => this.nextTimestamps(),
      onSearch: () => (this.#isSearchOpen ? this.#closeSearch() : this.openSearch()),
    });
  }

  #searchBar(): TemplateResult {
    const { query, search } = this.#searching;
    return searchBar({
      query,
      search,
      onQuery: wanted => void this.#searching.find(wanted),
      onStep: by => this.#searching.step(by),
      onClose: () => this.#closeSearch(),
    });
  }

  #rows(rows: readonly LogRow[]): TemplateResult {
    const { window, viewport, cursor } = this.#log;
    const context = {
      wantedAt: (offset: number) => this.#searching.wantedAt(offset),
      chosen: cursor.key,
      timestamps: this.#timestamps,
      began: window?.steps[0]?.time ?? window?.rows[0]?.time ?? 0,
      choose: (row: LogRow) => this.#log.choose(row),
      fold: (step: number, isFolded: boolean) => this.#log.fold(step, isFolded),
      follow: (link: TextLink) => this.#tell('log-link', link),
    };
    const shift = `transform: translateY(${-viewport.hiddenPx}px)`;
    return html`<div class="rows" role="presentation" .style=${shift}>${repeat(
      rows,
      row => row.key,
      row => rowTemplate(row, context),
    )}</div>`;
  }

  #emptyText(): string {
    if (this.#log.problem !== undefined) return this.#log.problem;
    if (!this.#task) return l10n.t('Choose a task in the side bar, or run one, to see its log here.');
    if (!this.#log.window) return this.#task.message;
    const { isLost, hasEnded } = this.#log;
    const how = this.#task.pastEnds[this.attempt ?? 0] ?? l10n.t('lost with its node');
    if (isLost) return l10n.t`Nothing of what this attempt printed was kept: ${how}.`;
    return this.#task.isFinished || hasEnded ? l10n.t('It printed nothing.') : l10n.t('Nothing printed yet.');
  }

  #pill(): TemplateResult | typeof nothing {
    const { window, viewport } = this.#log;
    if (!window || viewport.isFollowing || viewport.thumb(window).length >= 1) return nothing;
    const text = viewport.hasNews(window) ? l10n.t('New lines') : l10n.t('To the end');
    return html`<button class="pill" @click=${() => this.#log.toEnd()}>${ICONS.toEnd}${text}</button>`;
  }

  get #view(): HTMLElement | null {
    return this.renderRoot.querySelector<HTMLElement>('#view');
  }

  get #searched() {
    const { source } = this;
    const { fence } = this.#log;
    return source && fence !== undefined ? { source, fence } : undefined;
  }

  #moved(): void {
    this.requestUpdate();
    this.#tell('log-position', undefined);
  }

  #restarted(): void {
    this.#searching.forget();
    this.source?.stopSearch();
    this.requestUpdate();
  }

  #measure(view: HTMLElement): void {
    this.#log.measure(view);
    this.style.setProperty('--row-height', `${this.#log.viewport.rowPx}px`);
  }

  #closeSearch(): void {
    this.#isSearchOpen = false;
    void this.#searching.find({ ...this.#searching.query, text: '' });
    this.#view?.focus();
  }

  #wheel(event: WheelEvent): void {
    if (event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
    event.preventDefault();
    const { visible, rowPx } = this.#log.viewport;
    const rows = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY : event.deltaY / rowPx;
    this.#log.scrollBy(event.deltaMode === WheelEvent.DOM_DELTA_PAGE ? event.deltaY * visible : rows);
  }

  #key(event: KeyboardEvent): void {
    if ((event.ctrlKey || event.metaKey) && event.key === 'f') this.openSearch();
    else if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || !this.#move(event.key)) return;
    event.preventDefault();
  }

  /** As in the trees of VS Code. @returns false if the key means nothing here */
  #move(key: string): boolean {
    const { visible } = this.#log.viewport;
    if (key === 'ArrowUp') this.#log.moveCursor(-1);
    else if (key === 'ArrowDown') this.#log.moveCursor(1);
    else if (key === 'PageUp') this.#log.moveCursor(-Math.floor(visible - 1));
    else if (key === 'PageDown') this.#log.moveCursor(Math.floor(visible - 1));
    else if (key === 'Home') void this.#log.toFirstLine();
    else if (key === 'End') void this.#log.toLastLine();
    else if (key === 'ArrowLeft') this.#log.foldChosen(true);
    else if (key === 'ArrowRight') this.#log.foldChosen(false);
    else if (key === 'Enter') this.#enter();
    else return false;
    return true;
  }

  /** What a click on the chosen line would do: a step is folded or unfolded, the first link of a line is followed. */
  #enter(): void {
    this.renderRoot.querySelector<HTMLElement>('.row.current a, .row.step.current')?.click();
  }

  #tell(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
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
