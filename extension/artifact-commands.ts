import { mkdir } from 'node:fs/promises';
import { basename, dirname, relative } from 'node:path';
import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { count } from '../shared/amounts.ts';
import { signalOf } from './abort.ts';
import { artifactTarget, existingFiles } from './artifact-target.ts';
import { artifactUri } from './artifact-uri.ts';
import type { Clusters } from './clusters.ts';
import { type Given, rowOf } from './given.ts';
import { agrees, showInformation, showProgress } from './messages.ts';
import { findWorkspaceFile } from './open-file.ts';
import { saveAs } from './save-as.ts';
import type { SentTasks } from './sent-tasks.ts';
import { writeWholeFile } from './write-file.ts';

/** What can be done with what a task kept. */
export class ArtifactCommands {
  readonly #clusters: Clusters;
  readonly #sent: SentTasks;

  constructor(clusters: Clusters, sent: SentTasks) {
    this.#clusters = clusters;
    this.#sent = sent;
  }

  async open(given: Given): Promise<void> {
    const { task, path } = rowOf(given) ?? {};
    if (task === undefined || path === undefined) return;
    await vscode.commands.executeCommand('vscode.open', artifactUri(task, path));
  }

  async save(given: Given): Promise<void> {
    const { task, path } = rowOf(given) ?? {};
    if (task === undefined || path === undefined) return;
    await saveAs(this.#clusters, {
      name: basename(path),
      what: path,
      read: (client, signal) => client.download(task, path, signal),
    });
  }

  /** Below a folder that is asked for, each at the path that it had in the task's workspace. */
  async saveAll(given: Given): Promise<void> {
    const { task } = rowOf(given) ?? {};
    if (task === undefined) return;
    const { connection } = this.#clusters;
    const { artifacts } = await connection.ask(l10n.t('Cannot list the artifacts'), (client, signal) =>
      client.call('listArtifacts', { params: { id: task } }, signal),
    );
    if (artifacts.length === 0) {
      void showInformation(l10n.t('This task kept no files.'));
      return;
    }
    const folder = await pickFolder();
    if (!folder) return;
    const targets = artifacts.map(({ path }) => ({ path, target: artifactTarget(folder, path) }));
    if (!(await mayReplace(folder, await existingFiles(targets.map(({ target }) => target))))) return;
    await using client = await connection.client();
    const files = count(artifacts.length, l10n.t('file'), l10n.t('files'));
    await showProgress(l10n.t`Saving ${files} …`, async (report, cancel) => {
      const signal = signalOf(cancel);
      for (const { path, target } of targets) {
        report(path, 100 / targets.length);
        await mkdir(dirname(target), { recursive: true });
        await writeWholeFile(target, client.download(task, path, signal), signal);
      }
    });
    void showInformation(l10n.t('Saved {0} in {1}.', files, folder));
  }

  /** With the file of the same path in the workspace. */
  async compare(given: Given): Promise<void> {
    const { task, path } = rowOf(given) ?? {};
    if (task === undefined || path === undefined) return;
    const from = this.#sent.of(task);
    const own = await findWorkspaceFile(path, from && [from.root]);
    if (!own) {
      void showInformation(l10n.t`There is no ${path} in this workspace to compare with.`);
      return;
    }
    const title = l10n.t`${path}: workspace ↔ artifact`;
    await vscode.commands.executeCommand('vscode.diff', own, artifactUri(task, path), title);
  }
}

/** The folder may well be the workspace, with work in it that is nowhere else. */
async function mayReplace(folder: string, existing: readonly string[]): Promise<boolean> {
  if (existing.length === 0) return true;
  const files = count(existing.length, l10n.t('file'), l10n.t('files'));
  const names = existing.slice(0, 10).map(path => relative(folder, path));
  const rest = existing.length > names.length ? [l10n.t('and {0} more', existing.length - names.length)] : [];
  return agrees(l10n.t('Replace {0} in {1}?', files, folder), [...names, ...rest].join('\n'), l10n.t('Replace'));
}

async function pickFolder(): Promise<string | undefined> {
  const defaultUri = vscode.workspace.workspaceFolders?.[0]?.uri;
  const picked = await vscode.window.showOpenDialog({
    ...(defaultUri && { defaultUri }),
    canSelectFiles: false,
    canSelectFolders: true,
    title: l10n.t('Save all artifacts in which folder?'),
    openLabel: l10n.t('Save'),
  });
  return picked?.[0]?.fsPath;
}
