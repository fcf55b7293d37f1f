import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { filePlaces } from './find-file.ts';
import { showInformation } from './messages.ts';
import { openFolders } from './open-folders.ts';

export interface FilePlace {
  readonly path: string;
  /** Counted from 1. */
  readonly line?: number;
  readonly column?: number;
}

/**
 * The file of the user's workspace that a log means; undefined if there is none.
 * @param folders that its paths are counted from, if that is known: a file of the same name in another folder is another one
 */
export async function findWorkspaceFile(path: string, folders?: readonly string[]): Promise<vscode.Uri | undefined> {
  const within = folders?.map(folder => vscode.Uri.file(folder)) ?? openFolders().all;
  for (const place of filePlaces(path)) {
    for (const folder of within) {
      const file = vscode.Uri.joinPath(folder, place);
      if (await isFile(file)) return file;
    }
  }
  return undefined;
}

export async function openWorkspaceFile(
  { path, line = 1, column = 1 }: FilePlace,
  folders?: readonly string[],
): Promise<void> {
  const file = await findWorkspaceFile(path, folders);
  if (!file) {
    void showInformation(l10n.t`There is no ${path} in this workspace.`);
    return;
  }
  await showPlace(file, { line, column });
}

export async function showPlace(file: vscode.Uri, { line = 1, column = 1 }: Omit<FilePlace, 'path'>): Promise<void> {
  const at = new vscode.Position(Math.max(0, line - 1), Math.max(0, column - 1));
  await vscode.window.showTextDocument(file, { selection: new vscode.Range(at, at), preview: true });
}

async function isFile(uri: vscode.Uri): Promise<boolean> {
  try {
    const { type } = await vscode.workspace.fs.stat(uri);
    return (type & vscode.FileType.File) !== 0;
  } catch {
    return false;
  }
}
