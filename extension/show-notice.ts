import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { showError, showInformation } from './messages.ts';
import type { TaskNotice } from './task-notice.ts';

export async function showNotice({ task, text, isFailure }: TaskNotice): Promise<void> {
  const openLog = l10n.t('Open Log');
  const answer = await (isFailure ? showError : showInformation)(text, openLog, l10n.t('Run Again'));
  if (answer === undefined) return;
  const command = answer === openLog ? 'simple-ci.openLog' : 'simple-ci.runAgain';
  await vscode.commands.executeCommand(command, { row: { task } });
}
