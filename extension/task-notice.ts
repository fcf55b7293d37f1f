import * as l10n from '@vscode/l10n';
import { durationBetween } from '../shared/amounts.ts';
import type { TaskSummary } from '../shared/api.ts';
import { stateWord } from './outcome-word.ts';

/** Of which ends the user wants to hear. */
export type NoticeSetting = 'off' | 'failed' | 'all';

export interface TaskNotice {
  readonly task: string;
  readonly isFailure: boolean;
  readonly text: string;
}

/** Who has waited for longer than this has turned to something else, in milliseconds. */
const LONG_MS = 30_000;

/** What to tell the user of the end of a task of his, if anything: that it failed, or that something long is over. */
export function taskNotice(task: TaskSummary, setting: NoticeSetting): TaskNotice | undefined {
  const { id, name, submitted, finished, outcome, message = '' } = task;
  if (setting === 'off' || finished === undefined || outcome === 'cancelled') return undefined;
  const took = durationBetween(submitted, finished) ?? '';
  const after = l10n.t('{0}: {1} after {2}', name, stateWord(task), took);
  if (outcome !== 'passed') return { task: id, isFailure: true, text: message === '' ? after : `${after}. ${message}` };
  const isLong = finished - submitted > LONG_MS;
  return setting === 'all' && isLong ? { task: id, isFailure: false, text: after } : undefined;
}
