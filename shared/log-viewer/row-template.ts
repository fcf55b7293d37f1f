import * as l10n from '@vscode/l10n';
import { html, nothing, type TemplateResult } from 'lit';
import { formatDuration } from '../duration.ts';
import type { TextStyle } from '../log-model/ansi.ts';
import type { TextLink } from '../log-model/links.ts';
import { isCancelled, type LogRow } from '../log-model/log-window.ts';
import type { TimestampStyle } from '../log-model/panel-messages.ts';
import { type RowText, rowText } from '../log-model/row-text.ts';
import { ICONS } from './icons.ts';

export interface RowContext {
  /** What is to be marked in the line at this offset. */
  readonly wantedAt: (offset: number) => RegExp | undefined;
  /** The key of the row that somebody has chosen. */
  readonly chosen: string | undefined;
  readonly timestamps: TimestampStyle;
  /** What relative times count from. */
  readonly began: number;
  readonly choose: (row: LogRow) => void;
  readonly fold: (step: number, isFolded: boolean) => void;
  readonly follow: (link: TextLink) => void;
}

/** Names the element of a row for `aria-activedescendant`, which allows no spaces. */
export function rowId({ key }: LogRow): string {
  return `row-${encodeURIComponent(key)}`;
}

/** One row: for screen readers a step is an item of a tree, with the lines under it. What a program printed becomes text nodes and nothing else. */
export function rowTemplate(row: LogRow, context: RowContext): TemplateResult {
  const isChosen = row.key === context.chosen;
  const step = row.kind === 'step' ? row : undefined;
  const names = ['row', ...(row.kind === 'output' ? [] : [row.kind]), ...(isChosen ? ['current'] : [])].join(' ');
  const click = () => {
    context.choose(row);
    if (step) context.fold(step.step, !step.isFolded);
  };
  return html`<div class=${names} id=${rowId(row)} role="treeitem" aria-level=${step ? 1 : 2} aria-setsize="-1" aria-selected=${isChosen} aria-expanded=${step ? !step.isFolded : nothing} aria-label=${step ? stepLabel(step) : nothing} @click=${click} @contextmenu=${() => context.choose(row)}>${time(row.time, context)}${content(row, context, isChosen)}</div>`;
}

function content(row: LogRow, context: RowContext, isChosen: boolean): unknown {
  switch (row.kind) {
    case 'output':
      return rowText(row, context.wantedAt(row.offset)).map(part => textTemplate(part, context, isChosen));
    case 'step':
      return stepTemplate(row);
    default:
      return `${row.kind === 'note' ? '•' : '✗'} ${row.text}`;
  }
}

type StepRow = Extract<LogRow, { kind: 'step' }>;

function stepTemplate(row: StepRow): TemplateResult {
  const { end, isFolded, text } = row;
  const state = stateOf(end?.text);
  return html`${isFolded ? ICONS.right : ICONS.down}<span class=${state}>${ICONS[state]}</span><span>${text}</span><span class="took">${duration(row)}</span>`;
}

/** As it looks: all that is neither is a failure of some kind. */
function stateOf(end: string | undefined): 'running' | 'passed' | 'cancelled' | 'failed' {
  if (end === undefined) return 'running';
  if (end === 'passed') return end;
  return isCancelled(end) ? 'cancelled' : 'failed';
}

function stepLabel(row: StepRow): string {
  const state = row.end?.text ?? l10n.t('running');
  return l10n.t('Step {0}, {1}, {2}', row.step + 1, row.text, `${state} ${duration(row)}`.trim());
}

function duration({ end, time }: StepRow): string {
  return end === undefined ? '' : formatDuration(Math.max(0, end.time - time));
}

/** Only the links of the chosen line are in the order of the Tab key: there may be one in every line. */
function textTemplate(part: RowText, context: RowContext, isChosen: boolean): TemplateResult | string {
  const { text, style, link, isHit } = part;
  const content = isHit ? html`<mark>${text}</mark>` : text;
  const styled = isPlain(style) ? content : styledTemplate(content, style);
  if (!link) return styled as TemplateResult | string;
  const open = (event: Event) => {
    event.preventDefault();
    event.stopPropagation();
    context.follow(link);
  };
  const title = link.kind === 'address' ? link.address : l10n.t`Open ${link.path}`;
  return html`<a href="#" tabindex=${isChosen ? 0 : -1} title=${title} @click=${open}>${styled}</a>`;
}

function styledTemplate(content: TemplateResult | string, style: TextStyle): TemplateResult {
  const { inverse = false } = style;
  const foreground = inverse ? style.background : style.foreground;
  const background = inverse ? style.foreground : style.background;
  const names = [
    ...(['bold', 'dim', 'italic', 'underline', 'strike'] as const).filter(name => style[name]),
    ...(inverse ? ['inverse'] : []),
    ...(typeof foreground === 'number' ? [`f${foreground}`] : []),
    ...(typeof background === 'number' ? [`b${background}`] : []),
  ];
  // Set as a property of the element: the page's policy allows no style attributes.
  const own = [
    ...(typeof foreground === 'string' ? [`color: ${foreground}`] : []),
    ...(typeof background === 'string' ? [`background: ${background}`] : []),
  ].join(';');
  return html`<span class=${names.join(' ')} .style=${own}>${content}</span>`;
}

function isPlain({ link: _, ...style }: TextStyle): boolean {
  return Object.keys(style).length === 0;
}

function time(at: number, { timestamps, began }: RowContext): TemplateResult | typeof nothing {
  if (timestamps === 'off') return nothing;
  const text = timestamps === 'absolute' ? clockText(at) : `+${((at - began) / 1000).toFixed(1)}s`;
  return html`<span class="time">${text}</span>`;
}

/** In the time zone of whoever looks. */
function clockText(at: number): string {
  const date = new Date(at);
  const digits = (value: number, length = 2) => String(value).padStart(length, '0');
  return `${digits(date.getHours())}:${digits(date.getMinutes())}:${digits(date.getSeconds())}.${digits(date.getMilliseconds(), 3)}`;
}
