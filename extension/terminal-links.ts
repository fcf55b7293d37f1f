import * as vscode from 'vscode';
import { showPlace } from './open-file.ts';
import { type PlaceInLine, placesInLine } from './places-in-line.ts';

interface Link extends vscode.TerminalLink {
  readonly place: PlaceInLine;
}

/** Terminals of VS Code find no links where a path has a space in it: here those to files of the workspace are. */
export class TerminalLinks implements vscode.TerminalLinkProvider<Link> {
  provideTerminalLinks({ line }: vscode.TerminalLinkContext): Link[] {
    const folders = (vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri.fsPath);
    return folders
      .filter(folder => folder.includes(' '))
      .flatMap(folder => placesInLine(line, folder))
      .map(place => ({ startIndex: place.index, length: place.length, place }));
  }

  async handleTerminalLink({ place }: Link): Promise<void> {
    await showPlace(vscode.Uri.file(place.path), place);
  }
}
