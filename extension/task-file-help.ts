import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import type { TaskFileCompletion } from '../shared/task-file/complete-task-file.ts';

/** This extension makes help of our schema, as VS Code itself does for JSON: then we keep quiet. */
const YAML_SUPPORT = 'redhat.vscode-yaml';

/** Words that can stand in a task file, and what they mean. */
export class TaskFileHelp implements vscode.CompletionItemProvider, vscode.HoverProvider {
  async provideCompletionItems(document: vscode.TextDocument, at: vscode.Position): Promise<vscode.CompletionItem[]> {
    if (hasOtherHelp()) return [];
    const { completeTaskFile } = await import('../shared/task-file/complete-task-file.ts');
    return completeTaskFile(document.getText(), document.offsetAt(at)).map((completion, order) =>
      itemOf(completion, order, document),
    );
  }

  async provideHover(document: vscode.TextDocument, at: vscode.Position): Promise<vscode.Hover | undefined> {
    if (hasOtherHelp()) return undefined;
    const { explainKey } = await import('../shared/task-file/explain-key.ts');
    const found = explainKey(document.getText(), document.offsetAt(at));
    if (!found) return undefined;
    return new vscode.Hover(plainMarkdown(found.text), rangeOf(document, found));
  }
}

function hasOtherHelp(): boolean {
  return vscode.extensions.getExtension(YAML_SUPPORT) !== undefined;
}

function itemOf(completion: TaskFileCompletion, order: number, document: vscode.TextDocument): vscode.CompletionItem {
  const { Property, Value } = vscode.CompletionItemKind;
  const item = new vscode.CompletionItem(completion.word, completion.isKey ? Property : Value);
  item.insertText = completion.insert;
  item.range = rangeOf(document, completion);
  // The indentation is that of the key, not of its line: a key may stand after a dash.
  item.keepWhitespace = true;
  item.sortText = String(order).padStart(3, '0');
  if (completion.description !== undefined) item.documentation = completion.description;
  if (completion.hasChoices) item.command = { command: 'editor.action.triggerSuggest', title: l10n.t('Choose') };
  return item;
}

function rangeOf(document: vscode.TextDocument, { from, to }: { readonly from: number; readonly to: number }) {
  return new vscode.Range(document.positionAt(from), document.positionAt(to));
}

/** Text as it is, in lines as long as there is room: what VS Code makes of plain text by itself has no place to break a line. */
function plainMarkdown(text: string): vscode.MarkdownString {
  return new vscode.MarkdownString(text.replace(/[\\`*_{}[\]()#+.!<>|~-]/g, '\\$&'));
}
