import * as l10n from '@vscode/l10n';
import type { TaskSummary } from '../shared/api.ts';
import type { Outcome, StepResult } from '../shared/result.ts';

/** `failed`, `timed out`: how a task or a step ended, in a word or two. */
export function outcomeWord(outcome: Outcome | StepResult['outcome']): string {
  const words: Readonly<Record<Outcome | StepResult['outcome'], string>> = {
    passed: l10n.t('passed'),
    failed: l10n.t('failed'),
    'timed-out': l10n.t('timed out'),
    'idle-timed-out': l10n.t('idle timed out'),
    cancelled: l10n.t('cancelled'),
    skipped: l10n.t('skipped'),
    crashed: l10n.t('crashed'),
    invalid: l10n.t('invalid'),
    'infrastructure-lost': l10n.t('infrastructure lost'),
    'dead-lettered': l10n.t('dead lettered'),
  };
  // A newer node may know others.
  return words[outcome] ?? outcome;
}

/** `failed`, `timed out`, `running`: where a task is in its life. */
export function stateWord({
  state,
  outcome,
  cancelling,
}: Pick<TaskSummary, 'state' | 'outcome' | 'cancelling'>): string {
  if (state === 'finished') return outcome ? outcomeWord(outcome) : l10n.t('finished');
  if (cancelling) return l10n.t('cancelling');
  return state === 'running' ? l10n.t('running') : l10n.t('queued');
}
