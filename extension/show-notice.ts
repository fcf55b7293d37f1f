import * as vscode from 'vscode';
import type { TaskNotice } from './task-notice.ts';

const OPEN_LOG = 'Open Log';
const RUN_AGAIN = 'Run Again';

export async function showNotice({ task, text, isFailure }: TaskNotice): Promise<void> {
  const { showErrorMessage, showInformationMessage } = vscode.window;
  const answer = await (isFailure ? showErrorMessage : showInformationMessage)(text, OPEN_LOG, RUN_AGAIN);
  if (answer === undefined) return;
  const command = answer === OPEN_LOG ? 'simple-ci.openLog' : 'simple-ci.runAgain';
  await vscode.commands.executeCommand(command, { row: { task } });
}
