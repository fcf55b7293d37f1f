import * as vscode from 'vscode';
import { plainMessage } from './plain-message.ts';

/** The only file that shows notifications: what they say is text, whoever has written it. Resolve with the answer that was clicked. */
export function showInformation(text: string, ...answers: readonly string[]): Thenable<string | undefined> {
  return vscode.window.showInformationMessage(plainMessage(text), ...answers);
}

export function showWarning(text: string, ...answers: readonly string[]): Thenable<string | undefined> {
  return vscode.window.showWarningMessage(plainMessage(text), ...answers);
}

export function showError(text: string, ...answers: readonly string[]): Thenable<string | undefined> {
  return vscode.window.showErrorMessage(plainMessage(text), ...answers);
}

/** With a bar, for what the user waits for and can cancel. */
export function showProgress<T>(
  title: string,
  work: (report: (message: string, percent?: number) => void, cancel: vscode.CancellationToken) => Promise<T>,
): Thenable<T> {
  const options = { location: vscode.ProgressLocation.Notification, title: plainMessage(title), cancellable: true };
  return vscode.window.withProgress(options, (progress, cancel) =>
    work((message, percent) => {
      const increment = percent === undefined ? {} : { increment: percent };
      progress.report({ message: plainMessage(message), ...increment });
    }, cancel),
  );
}

/** Nothing else can be done before it is answered. False: not that. */
export async function agrees(text: string, detail: string, answer: string): Promise<boolean> {
  const options = { modal: true, detail: plainMessage(detail) };
  return (await vscode.window.showWarningMessage(plainMessage(text), options, answer)) === answer;
}
