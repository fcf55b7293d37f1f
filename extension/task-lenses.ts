import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { showsCodeLens } from './settings.ts';
import type { WorkspaceRun } from './task-picker.ts';

/** "Run" above each task of a task file. */
export class TaskLenses implements vscode.CodeLensProvider {
  async provideCodeLenses(document: vscode.TextDocument): Promise<vscode.CodeLens[]> {
    if (!showsCodeLens()) return [];
    const { taskPlaces } = await import('./task-places.ts');
    const folder = vscode.Uri.joinPath(document.uri, '..');
    return taskPlaces(document.getText()).map(({ name, line }) => {
      const run: WorkspaceRun = { folder, task: { kind: 'named', name } };
      return new vscode.CodeLens(new vscode.Range(line, 0, line, 0), {
        command: 'simple-ci.runNamedTask',
        title: `$(play) ${l10n.t('Run')}`,
        tooltip: l10n.t`Run "${name}" on the workspace as it is now`,
        arguments: [run],
      });
    });
  }
}
