import { html, nothing, type TemplateResult } from 'lit';
import { formatDuration } from '../duration.ts';
import type { TextStyle } from '../log-model/ansi.ts';
import type { TextLink } from '../log-model/links.ts';
import type { LogRow } from '../log-model/log-window.ts';
import type { TimestampStyle } from '../log-model/panel-messages.ts';
import { type RowText, rowText } from '../log-model/row-text.ts';
import { ICONS } from './icons.ts';

export interface RowContext {
  readonly wanted: RegExp | undefined;
  /** The offset of the line that the search stands at. */
  readonly current: number | undefined;
  readonly timestamps: TimestampStyle;
  /** What relative times count from. */
  readonly began: number;
  readonly fold: (step: number, isFolded: boolean) => void;
  readonly follow: (link: TextLink) => void;
}

/** One row. What a program printed becomes text nodes and nothing else. */
export function rowTemplate(row: LogRow, context: RowContext): TemplateResult {
  switch (row.kind) {
    case 'output': {
      const isCurrent = row.offset === context.current;
      return html`<div class=${isCurrent ? 'row current' : 'row'} role="listitem">${time(row.time, context)}${rowText(row, context.wanted).map(part => textTemplate(part, context))}</div>`;
    }
    case 'step':
      return stepTemplate(row, context);
    default:
      return html`<div class="row ${row.kind}" role="listitem">${time(row.time, context)}${row.kind === 'note' ? '• ' : '✗ '}${row.text}</div>`;
  }
}

function stepTemplate(row: Extract<LogRow, { kind: 'step' }>, context: RowContext): TemplateResult {
  const { end, isFolded, step, text } = row;
  const state = end === undefined ? 'running' : end.text === 'passed' ? 'passed' : 'failed';
  const took = end === undefined ? '' : formatDuration(Math.max(0, end.time - row.time));
  const label = `Step ${step + 1}, ${text}, ${end?.text ?? 'running'} ${took}`;
  return html`<div class="row step" role="listitem" @click=${() => context.fold(step, !isFolded)}>${time(row.time, context)}<button ?disabled=${end === undefined} aria-expanded=${!isFolded} aria-label=${label}>${isFolded ? ICONS.right : ICONS.down}<span class=${state}>${ICONS[state]}</span><span>${text}</span><span class="took">${took}</span></button></div>`;
}

function textTemplate(part: RowText, context: RowContext): TemplateResult | string {
  const { text, style, link, isHit } = part;
  const content = isHit ? html`<mark>${text}</mark>` : text;
  const styled = isPlain(style) ? content : styledTemplate(content, style);
  if (!link) return styled as TemplateResult | string;
  const open = (event: Event) => {
    event.preventDefault();
    context.follow(link);
  };
  const title = link.kind === 'address' ? link.address : `Open ${link.path}`;
  return html`<a href="#" title=${title} @click=${open}>${styled}</a>`;
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
