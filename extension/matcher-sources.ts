import * as vscode from 'vscode';
import type { MatcherSources } from './find-matchers.ts';
import { problemMatchers } from './settings.ts';

/** Where VS Code has problem matchers. What extensions contribute is in their manifests. */
export function matcherSources(folder: string): MatcherSources {
  const file = vscode.workspace.getConfiguration('tasks', vscode.Uri.file(folder));
  return {
    settings: problemMatchers(),
    tasks: file.get('tasks'),
    problemMatcher: file.get('problemMatcher'),
    matchers: contributed('problemMatchers'),
    patterns: contributed('problemPatterns'),
  };
}

function contributed(kind: string): readonly unknown[] {
  return vscode.extensions.all.flatMap(({ packageJSON }) => packageJSON?.contributes?.[kind] ?? []);
}
