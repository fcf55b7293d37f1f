import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { CiError, isCiError } from '../shared/errors.ts';
import { formatBytes } from '../shared/amounts.ts';
import { artifactOf } from './artifact-uri.ts';
import type { Clusters } from './clusters.ts';

/** A larger artifact can be saved, not opened: VS Code would hold all of it in memory, twice. Bytes. */
const MOST_BYTES = 50_000_000;
const READ_MS = 120_000;

/** Artifacts as files that can be read and not written. What a task kept never changes. */
export class ArtifactFiles implements vscode.FileSystemProvider {
  readonly #clusters: Clusters;
  readonly #changed = new vscode.EventEmitter<vscode.FileChangeEvent[]>();
  readonly onDidChangeFile = this.#changed.event;

  constructor(clusters: Clusters) {
    this.#clusters = clusters;
  }

  async stat(uri: vscode.Uri): Promise<vscode.FileStat> {
    const { size } = await this.#find(uri);
    return { type: vscode.FileType.File, size, ctime: 0, mtime: 0, permissions: vscode.FilePermission.Readonly };
  }

  async readFile(uri: vscode.Uri): Promise<Uint8Array> {
    const { task, path } = artifactOf(uri);
    const { size } = await this.#find(uri);
    if (size > MOST_BYTES)
      throw vscode.FileSystemError.Unavailable(
        l10n.t('{0} is too large to open, {1}: save it instead', path, formatBytes(size)),
      );
    await using client = await this.#clusters.connection.client();
    const chunks: Uint8Array[] = [];
    for await (const chunk of client.download(task, path, AbortSignal.timeout(READ_MS))) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  watch(): vscode.Disposable {
    return new vscode.Disposable(() => undefined);
  }

  readDirectory(): [string, vscode.FileType][] {
    return [];
  }

  createDirectory(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  writeFile(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  delete(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  rename(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  async #find(uri: vscode.Uri) {
    const { task, path } = artifactOf(uri);
    try {
      await this.#clusters.ready();
      const attempt = l10n.t`Cannot open the artifact ${path}`;
      const { artifacts } = await this.#clusters.connection.ask(attempt, (client, signal) =>
        client.call('listArtifacts', { params: { id: task } }, signal),
      );
      const found = artifacts.find(artifact => artifact.path === path);
      if (found) return found;
      throw new CiError('not-found', l10n.t`There is no artifact ${path}`);
    } catch (error) {
      if (isCiError(error, 'not-found') || isCiError(error, 'invalid')) throw vscode.FileSystemError.FileNotFound(uri);
      throw error;
    }
  }
}
