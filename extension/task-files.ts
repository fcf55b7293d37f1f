import type * as vscode from 'vscode';

/** The task files of workspaces, as VS Code selects documents. */
export const TASK_FILES: vscode.DocumentFilter = { scheme: 'file', pattern: '**/simple-ci.{yaml,yml,json}' };

/** Those for which VS Code by itself has no help: of JSON, it makes some from the schema. */
export const YAML_TASK_FILES: vscode.DocumentFilter = { scheme: 'file', pattern: '**/simple-ci.{yaml,yml}' };
