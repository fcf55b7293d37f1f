import * as l10n from '@vscode/l10n';
import type { TaskFilter } from './task-rows.ts';

/** What the user has chosen to see. Who he is, and which branch is "this" one, is found out when it is asked. */
export interface ChosenFilter {
  readonly onlyMine?: boolean;
  readonly onlyBranch?: boolean;
  readonly onlyFailed?: boolean;
  readonly onlyUnfinished?: boolean;
}

export interface Here {
  /** As whom the cluster knows the user; undefined before it has said so. */
  readonly principal: string | undefined;
  readonly branches: readonly string[];
}

export function taskFilter(chosen: ChosenFilter, { principal, branches }: Here): TaskFilter {
  return {
    ...(chosen.onlyMine && principal !== undefined && { submitter: principal }),
    ...(chosen.onlyBranch && { branches }),
    onlyFailed: chosen.onlyFailed === true,
    onlyUnfinished: chosen.onlyUnfinished === true,
  };
}

/** What is shown, in words; undefined if that is everything. */
export function filterText(chosen: ChosenFilter): string | undefined {
  const words = [
    ...(chosen.onlyMine ? [l10n.t('mine')] : []),
    ...(chosen.onlyBranch ? [l10n.t('this branch')] : []),
    ...stateWords(chosen),
  ];
  return words.length === 0 ? undefined : l10n.t('only {0}', words.join(', '));
}

/** Of these two, either is enough. */
function stateWords({ onlyFailed, onlyUnfinished }: ChosenFilter): string[] {
  if (onlyFailed && onlyUnfinished) return [l10n.t('failed or under way')];
  if (onlyFailed) return [l10n.t('failed')];
  return onlyUnfinished ? [l10n.t('under way')] : [];
}
