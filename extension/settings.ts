import * as vscode from 'vscode';
import type { NoticeSetting } from './task-notice.ts';

// As package.json names them. They are the user's or the machine's; a workspace has no say.

export function programPath(): string {
  return get('programPath', '');
}

export function showsCodeLens(): boolean {
  return get('codeLens', true);
}

export function fillsProblems(): boolean {
  return get('problems', true);
}

export function keepsLocalNode(): boolean {
  return get('keepLocalNode', false);
}

/** As somebody wrote them. */
export function problemMatchers(): unknown {
  const none: unknown = [];
  return get('problemMatchers', none);
}

export function notifications(): NoticeSetting {
  const word = get<string>('notifications', 'all');
  return word === 'off' || word === 'failed' ? word : 'all';
}

/** What a workspace says is passed over: it may have come from anybody. */
function get<T>(name: string, otherwise: T): T {
  const found = vscode.workspace.getConfiguration('simple-ci').inspect<T>(name);
  return found?.globalValue ?? found?.defaultValue ?? otherwise;
}
