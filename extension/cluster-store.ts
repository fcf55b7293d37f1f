import * as l10n from '@vscode/l10n';
import type * as vscode from 'vscode';
import { CiError } from '../shared/errors.ts';
import type { ClusterChoice } from './connection.ts';

const CLUSTERS = 'clusters';
const ACTIVE = 'active';

/**
 * The clusters that the user has connected to, and which of them is meant. They belong to the user and the machine: nothing of it is
 * read from a workspace, so a repository cannot send anybody's files elsewhere. Tokens are in the secret storage of VS Code.
 */
export class ClusterStore {
  readonly #state: vscode.Memento;
  readonly #secrets: vscode.SecretStorage;

  constructor({ globalState, secrets }: Pick<vscode.ExtensionContext, 'globalState' | 'secrets'>) {
    this.#state = globalState;
    this.#secrets = secrets;
  }

  get clusters(): readonly ClusterChoice[] {
    return this.#state.get<readonly ClusterChoice[]>(CLUSTERS, []);
  }

  /** `local` for the cluster of this machine. */
  get active(): string | undefined {
    return this.#state.get<string>(ACTIVE);
  }

  get activeChoice(): ClusterChoice | undefined {
    return this.clusters.find(({ id }) => id === this.active);
  }

  async activate(id: string | undefined): Promise<void> {
    await this.#state.update(ACTIVE, id);
  }

  async add(choice: ClusterChoice, token: string): Promise<void> {
    await this.#secrets.store(keyOf(choice), token);
    await this.#state.update(CLUSTERS, [...this.clusters.filter(({ id }) => id !== choice.id), choice]);
    await this.activate(choice.id);
  }

  async remove(choice: ClusterChoice): Promise<void> {
    await this.#secrets.delete(keyOf(choice));
    await this.#state.update(
      CLUSTERS,
      this.clusters.filter(({ id }) => id !== choice.id),
    );
    if (this.active === choice.id) await this.activate(undefined);
  }

  async tokenOf(choice: ClusterChoice): Promise<string> {
    const token = await this.#secrets.get(keyOf(choice));
    if (token !== undefined) return token;
    throw new CiError('unauthenticated', l10n.t`Cannot find the token of ${choice.label}: connect to it again`);
  }
}

/** A token is kept for the address it was given for, and goes nowhere else. */
function keyOf({ id }: ClusterChoice): string {
  return `token:${id}`;
}
