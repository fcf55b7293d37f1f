import * as vscode from 'vscode';
import { EventSource } from './event-source.ts';

/** What we use of the API of VS Code's own git extension. */
interface GitExtension {
  getAPI(version: 1): {
    readonly repositories: readonly Repository[];
    readonly onDidOpenRepository: vscode.Event<Repository>;
    readonly onDidCloseRepository: vscode.Event<Repository>;
  };
}

interface Repository {
  readonly state: { readonly HEAD?: { readonly name?: string } | undefined; readonly onDidChange: vscode.Event<void> };
}

/** The branches that are checked out in the folders of the workspace, as VS Code's git extension knows them; none without it. */
export class WorkspaceBranches implements vscode.Disposable {
  readonly changed = new EventSource();
  readonly #listening: vscode.Disposable[] = [];
  #git: ReturnType<GitExtension['getAPI']> | undefined;
  #last = '';

  /** None before somebody has read them. */
  get names(): readonly string[] {
    const heads = (this.#git?.repositories ?? []).map(({ state }) => state.HEAD?.name);
    return [...new Set(heads.filter(name => name !== undefined))];
  }

  async read(): Promise<readonly string[]> {
    if (!this.#git) await this.#attach();
    return this.names;
  }

  dispose(): void {
    for (const listener of this.#listening) listener.dispose();
  }

  async #attach(): Promise<void> {
    const extension = vscode.extensions.getExtension<GitExtension>('vscode.git');
    // Where git is switched off the extension has no API, and throws when it is asked for it.
    const git = await Promise.resolve(extension?.activate())
      .then(api => api?.getAPI(1))
      .catch(() => undefined);
    if (!git || this.#git) return;
    this.#git = git;
    const follow = ({ state }: Repository) => {
      this.#listening.push(state.onDidChange(() => this.#look()));
      this.#look();
    };
    git.repositories.forEach(follow);
    this.#listening.push(
      git.onDidOpenRepository(follow),
      git.onDidCloseRepository(() => this.#look()),
    );
  }

  #look(): void {
    const now = this.names.join('\n');
    if (now === this.#last) return;
    this.#last = now;
    this.changed.emit();
  }
}
