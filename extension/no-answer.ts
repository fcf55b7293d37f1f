import * as l10n from '@vscode/l10n';
import { CiError } from '../shared/errors.ts';
import type { ClusterChoice } from './connection.ts';

/** What the user wanted of the cluster cannot be had now. Trying again may help, and so may another cluster. */
export class NoAnswer extends CiError {
  /** @param attempt a clause for people: "Cannot cancel the task" */
  constructor(attempt: string, { label }: ClusterChoice, reason: string) {
    super('unavailable', l10n.t('{0}, as cluster {1} gave no answer: {2}', attempt, label, reason));
  }
}
