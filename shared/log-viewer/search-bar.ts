import * as l10n from '@vscode/l10n';
import { html, type TemplateResult } from 'lit';
import type { LogQuery } from '../log-model/log-search.ts';
import { ICONS } from './icons.ts';

/** How far a search has come. */
export interface Search {
  /** Undefined: nothing is searched. */
  readonly wanted: RegExp | undefined;
  /** Offsets of lines, in order. */
  readonly hits: number[];
  readonly problem: string | undefined;
  readonly isDone: boolean;
  /** Which of them is shown. */
  readonly at: number;
}

export const NO_SEARCH: Search = { wanted: undefined, hits: [], problem: undefined, isDone: true, at: -1 };

export interface SearchBar {
  readonly query: LogQuery;
  readonly search: Search;
  readonly onQuery: (query: LogQuery) => void;
  /** To the next one, or by -1 to the one before. */
  readonly onStep: (by: 1 | -1) => void;
  readonly onClose: () => void;
}

export function searchBar({ query, search, onQuery, onStep, onClose }: SearchBar): TemplateResult {
  const { hits, problem } = search;
  const typed = (event: Event) => onQuery({ ...query, text: (event.target as HTMLInputElement).value });
  const toggle = (name: 'isCaseSensitive' | 'isRegExp') => () => onQuery({ ...query, [name]: !query[name] });
  const key = (event: KeyboardEvent) => {
    if (event.key === 'Enter') onStep(event.shiftKey ? -1 : 1);
    else if (event.key === 'Escape') onClose();
    else return;
    event.preventDefault();
  };
  const isEmpty = hits.length === 0;
  const what = l10n.t('Search the whole log');
  const matchCase = l10n.t('Match case');
  const regExp = l10n.t('Regular expression');
  const [previous, next, close] = [l10n.t('Previous'), l10n.t('Next'), l10n.t('Close')];
  return html`<div class="bar" role="search">
    <input id="query" type="text" placeholder=${what} aria-label=${what} .value=${query.text} @input=${typed} @keydown=${key} />
    <button class="icon" title=${matchCase} aria-label=${matchCase} aria-pressed=${query.isCaseSensitive} @click=${toggle('isCaseSensitive')}>Aa</button>
    <button class="icon" title=${regExp} aria-label=${regExp} aria-pressed=${query.isRegExp} @click=${toggle('isRegExp')}>.*</button>
    <span class=${problem === undefined ? 'count' : 'count problem'} role="status">${problem ?? progressText(search)}</span>
    <button class="icon" title=${`${previous} (Shift+Enter)`} aria-label=${previous} ?disabled=${isEmpty} @click=${() => onStep(-1)}>${ICONS.up}</button>
    <button class="icon" title=${`${next} (Enter)`} aria-label=${next} ?disabled=${isEmpty} @click=${() => onStep(1)}>${ICONS.down}</button>
    <button class="icon" title=${`${close} (Escape)`} aria-label=${close} @click=${onClose}>${ICONS.close}</button>
  </div>`;
}

function progressText({ wanted, hits, at, isDone }: Search): string {
  if (!wanted) return '';
  if (hits.length === 0) return isDone ? l10n.t('Nothing found') : l10n.t('Searching …');
  return `${l10n.t('{0} of {1}', at + 1, hits.length)}${isDone ? '' : '…'}`;
}
