import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import type { Client } from '../shared/client.ts';
import { signalOf } from './abort.ts';
import type { Clusters } from './clusters.ts';
import { showInformation, showProgress } from './messages.ts';
import { writeWholeFile } from './write-file.ts';

export interface Saved {
  /** What the file is proposed to be called. */
  readonly name: string;
  /** For people. */
  readonly what: string;
  readonly read: (client: Client, signal: AbortSignal) => AsyncIterable<Uint8Array>;
}

/** Asks where to, and saves it there, straight to the disk: it may be larger than memory. */
export async function saveAs(clusters: Clusters, { name, what, read }: Saved): Promise<void> {
  // Before a place is chosen in vain.
  await clusters.connection.reach(l10n.t`Cannot save ${what}`);
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const target = await vscode.window.showSaveDialog({
    ...(folder && { defaultUri: vscode.Uri.joinPath(folder, name) }),
    title: l10n.t`Save ${what}`,
  });
  if (!target) return;
  await showProgress(l10n.t`Saving ${what} …`, async (_, cancel) => {
    await using client = await clusters.connection.client();
    const signal = signalOf(cancel);
    await writeWholeFile(target.fsPath, read(client, signal), signal);
  });
  void showInformation(l10n.t`Saved ${what} as ${target.fsPath}.`);
}
