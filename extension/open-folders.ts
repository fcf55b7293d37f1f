import * as vscode from 'vscode';

/** The folders of the workspace, and which of them is meant where nobody is asked. */
export interface OpenFolders {
  readonly all: readonly vscode.Uri[];
  readonly current: vscode.Uri | undefined;
}

/** Of several folders the one that is being edited is meant. */
export function openFolders(): OpenFolders {
  const all = vscode.workspace.workspaceFolders ?? [];
  const edited = vscode.window.activeTextEditor?.document.uri;
  const folder = edited && vscode.workspace.getWorkspaceFolder(edited);
  return { all: all.map(({ uri }) => uri), current: (folder ?? all[0])?.uri };
}
