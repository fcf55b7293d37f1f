import * as l10n from '@vscode/l10n';
import { html, nothing, type TemplateResult } from 'lit';
import type { StepRange } from '../log-model/log-window.ts';
import type { PanelTask, TimestampStyle } from '../log-model/panel-messages.ts';
import { ICONS } from './icons.ts';

export interface TaskBar {
  readonly task: PanelTask;
  /** What is to be known instead of the task's own message. */
  readonly note: string | undefined;
  readonly attempt: number | undefined;
  readonly steps: readonly StepRange[];
  readonly timestamps: TimestampStyle;
  readonly isSearchOpen: boolean;
  readonly onAttempt: (attempt: number) => void;
  readonly onStep: (step: StepRange) => void;
  readonly onTimestamps: () => void;
  readonly onSearch: () => void;
}

/** The line above a log: whose it is, how that stands, and what can be chosen. */
export function taskBar(bar: TaskBar): TemplateResult {
  const { task, note, timestamps, isSearchOpen, onTimestamps, onSearch } = bar;
  const kind = task.tone === 'waiting' ? 'running' : task.tone;
  const times = timestampsText(timestamps);
  const search = l10n.t('Search');
  return html`<div class="bar">
    <span class="name" title=${task.name}>${task.name}</span>
    <span class="state ${kind}" role="status">${ICONS[kind]}${task.state}</span>
    <span class="message" title=${task.message}>${note ?? task.message}</span>
    ${attemptList(bar)}${stepList(bar)}
    <button class="icon" title=${times} aria-label=${times} aria-pressed=${timestamps !== 'off'} @click=${onTimestamps}>${ICONS.clock}</button>
    <button class="icon" title=${`${search} (Ctrl+F)`} aria-label=${search} aria-pressed=${isSearchOpen} @click=${onSearch}>${ICONS.search}</button>
  </div>`;
}

function timestampsText(style: TimestampStyle): string {
  switch (style) {
    case 'off':
      return l10n.t('Timestamps: off');
    case 'relative':
      return l10n.t('Timestamps: relative');
    case 'absolute':
      return l10n.t('Timestamps: absolute');
  }
}

function attemptList({ task: { attempts }, attempt: shown, onAttempt }: TaskBar): TemplateResult | typeof nothing {
  if (attempts.length < 2) return nothing;
  const choose = (event: Event) => onAttempt(Number((event.target as HTMLSelectElement).value));
  return html`<select id="attempt" aria-label=${l10n.t('Attempt')} @change=${choose}>${attempts.map(
    attempt => html`<option value=${attempt} ?selected=${attempt === shown}>${l10n.t`Attempt ${attempt}`}</option>`,
  )}</select>`;
}

function stepList({ steps, onStep }: TaskBar): TemplateResult | typeof nothing {
  if (steps.length < 2) return nothing;
  const go = (event: Event) => {
    const select = event.target as HTMLSelectElement;
    const step = steps.find(one => String(one.step) === select.value);
    select.value = '';
    if (step) onStep(step);
  };
  const sign = ({ end }: StepRange) => (end === undefined ? '…' : end.text === 'passed' ? '✓' : '✗');
  return html`<select id="steps" aria-label=${l10n.t('Go to step')} @change=${go}><option value="">${l10n.t('Steps…')}</option>${steps.map(
    step => html`<option value=${step.step}>${sign(step)} ${step.text}</option>`,
  )}</select>`;
}
