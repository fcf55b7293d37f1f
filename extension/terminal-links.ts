import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { showPlace } from './open-file.ts';
import { openFolders } from './open-folders.ts';
import { placesInLine } from './places-in-line.ts';
import { taskInLine } from './task-in-line.ts';

interface Link extends vscode.TerminalLink {
  readonly open: () => Promise<void>;
}

/**
 * Links in terminals: from what the terminal of a task says of it to its whole log; and to files of the workspace whose paths have a
 * space in them, where VS Code finds none.
 */
export class TerminalLinks implements vscode.TerminalLinkProvider<Link> {
  readonly #showLog: (task: string) => Promise<void>;

  constructor(showLog: (task: string) => Promise<void>) {
    this.#showLog = showLog;
  }

  provideTerminalLinks({ line }: vscode.TerminalLinkContext): Link[] {
    return [...this.#toLogs(line), ...toFiles(line)];
  }

  async handleTerminalLink({ open }: Link): Promise<void> {
    await open();
  }

  #toLogs(line: string): Link[] {
    const found = taskInLine(line);
    if (!found) return [];
    const { index, length, task } = found;
    return [{ startIndex: index, length, tooltip: l10n.t('Open log'), open: () => this.#showLog(task) }];
  }
}

function toFiles(line: string): Link[] {
  const folders = openFolders().all.map(({ fsPath }) => fsPath);
  return folders
    .filter(folder => folder.includes(' '))
    .flatMap(folder => placesInLine(line, folder))
    .map(place => ({
      startIndex: place.index,
      length: place.length,
      open: () => showPlace(vscode.Uri.file(place.path), place),
    }));
}
