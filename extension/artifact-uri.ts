import * as vscode from 'vscode';

export const ARTIFACT_SCHEME = 'simple-ci-artifact';

/** `simple-ci-artifact:/TASK/PATH`: an artifact as a file that VS Code can open. */
export function artifactUri(task: string, path: string): vscode.Uri {
  return vscode.Uri.from({ scheme: ARTIFACT_SCHEME, path: `/${task}/${path}` });
}

export function artifactOf({ path }: vscode.Uri): { readonly task: string; readonly path: string } {
  const [, task = '', ...rest] = path.split('/');
  return { task, path: rest.join('/') };
}
