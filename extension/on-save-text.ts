import * as l10n from '@vscode/l10n';
import { plainLabel } from './plain-message.ts';

export interface OnSave {
  /** Each of the folder whose files it runs on. */
  readonly tasks: readonly { readonly folder: string; readonly name: string }[];
  /** What went wrong at the last save. */
  readonly problem: { readonly folder: string; readonly text: string } | undefined;
  /** The folders of the workspace as it is now. */
  readonly open: readonly string[];
}

/** What the status bar says of tasks that run on each save; undefined if there is none whose folder is open. */
export function onSaveText({
  tasks,
  problem,
  open,
}: OnSave): { readonly text: string; readonly tooltip: string } | undefined {
  const all = tasks
    .filter(({ folder }) => open.includes(folder))
    .map(({ name }) => name)
    .join(', ');
  if (all === '') return undefined;
  const wrong = problem && open.includes(problem.folder) ? problem.text : undefined;
  const icon = wrong === undefined ? 'save' : 'warning';
  const what = wrong ?? l10n.t`Runs ${all} whenever a file is saved`;
  return {
    text: `$(${icon}) ${plainLabel(l10n.t`${all} on save`)}`,
    tooltip: l10n.t`${what}. Click to switch it off.`,
  };
}
