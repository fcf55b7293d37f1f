import { compileQuery, type LogQuery } from '../log-model/log-search.ts';
import type { LogSource } from './log-source.ts';
import { NO_SEARCH, type Search } from './search-bar.ts';

export interface LogSearchingOptions {
  /** What is searched; undefined: there is no log yet. */
  readonly log: () => { readonly source: LogSource; readonly fence: number } | undefined;
  /** From which offset on the first line is looked for. */
  readonly here: () => number;
  readonly onShow: (offset: number) => void;
  readonly onChanged: () => void;
}

/** A search through a whole log: what is looked for, what was found so far, and at which of it one is. */
export class LogSearching {
  readonly #options: LogSearchingOptions;
  #query: LogQuery = { text: '', isRegExp: false, isCaseSensitive: false };
  #search: Search = NO_SEARCH;
  /** Of the lines that were found. */
  readonly #offsets = new Set<number>();

  constructor(options: LogSearchingOptions) {
    this.#options = options;
  }

  get query(): LogQuery {
    return this.#query;
  }

  get search(): Search {
    return this.#search;
  }

  /**
   * What is to be marked in the line at this offset. An expression is let loose on lines only that the search has found and come to the end of:
   * over another it might work for ever, and nothing can end it here.
   */
  wantedAt(offset: number): RegExp | undefined {
    return !this.#query.isRegExp || this.#offsets.has(offset) ? this.#search.wanted : undefined;
  }

  /** Another log: what was found is not in it. */
  forget(): void {
    this.#search = NO_SEARCH;
    this.#offsets.clear();
  }

  async find(query: LogQuery): Promise<void> {
    this.#query = query;
    const log = this.#options.log();
    log?.source.stopSearch();
    this.forget();
    this.#options.onChanged();
    if (query.text === '' || !log) return;
    const wanted = compileQuery(query);
    if (typeof wanted === 'string') {
      this.#search = { ...NO_SEARCH, problem: wanted };
      return;
    }
    this.#search = { ...NO_SEARCH, wanted, hits: [], isDone: false };
    const problem = await log.source.search(log.fence, query, offsets => {
      if (this.#query === query) this.#found(offsets);
    });
    if (this.#query !== query) return;
    this.#search = { ...this.#search, isDone: true, problem };
    this.#options.onChanged();
    // All that there is lies before where one is.
    if (this.#search.at < 0) this.step(1);
  }

  /** To the next one, or by -1 to the one before. */
  step(by: 1 | -1): void {
    const { hits, at } = this.#search;
    if (hits.length > 0) this.#goTo((at + by + hits.length) % hits.length);
  }

  /** The first line found from where one is on is shown at once. */
  #found(offsets: readonly number[]): void {
    this.#search.hits.push(...offsets);
    for (const offset of offsets) this.#offsets.add(offset);
    this.#options.onChanged();
    if (this.#search.at >= 0) return;
    const here = this.#options.here();
    const at = this.#search.hits.findIndex(offset => offset >= here);
    if (at >= 0) this.#goTo(at);
  }

  #goTo(at: number): void {
    this.#search = { ...this.#search, at };
    this.#options.onShow(this.#search.hits[at]!);
  }
}
