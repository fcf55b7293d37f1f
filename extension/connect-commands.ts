import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { describeError, isCiError } from '../shared/errors.ts';
import { signalOf } from './abort.ts';
import type { ClusterStore } from './cluster-store.ts';
import type { Clusters } from './clusters.ts';
import type { ClusterChoice } from './connection.ts';
import { LOCAL_CLUSTER } from './local-node.ts';
import { showInformation, showProgress, showWarning } from './messages.ts';
import { checkNodeUrl } from './node-urls.ts';
import { plainLabel } from './plain-message.ts';

/** Choosing a cluster: a local node, one that is new, or one of before. */
export class ConnectCommands {
  readonly #clusters: Clusters;
  readonly #store: ClusterStore;
  readonly #askText: typeof vscode.window.showInputBox;

  constructor(clusters: Clusters, store: ClusterStore, askText = vscode.window.showInputBox) {
    this.#clusters = clusters;
    this.#store = store;
    this.#askText = askText;
  }

  async startLocalNode(): Promise<void> {
    if (!(await checkTrust())) return;
    const options = { location: { viewId: 'simple-ci.tasks' }, title: l10n.t('Starting a local node …') };
    await vscode.window.withProgress(options, () => this.#clusters.useLocal());
  }

  async stopLocalNode(): Promise<void> {
    const isMeant = this.#store.active === LOCAL_CLUSTER;
    const options = { location: { viewId: 'simple-ci.tasks' }, title: l10n.t('Stopping the local node …') };
    await vscode.window.withProgress(options, () => this.#clusters.stopLocal());
    // Else the side bar says so: there is no cluster any more.
    if (!isMeant) void showInformation(l10n.t('The local node has been stopped.'));
  }

  /** A token that is wrong is asked for again: the address was right. */
  async connect(): Promise<void> {
    const address = await this.#askAddress();
    if (address === undefined) return;
    const { host } = new URL(address);
    let why: string | undefined;
    do {
      const token = await this.#askToken(host, why);
      if (token === undefined) return;
      why = await this.#tryToken(address, token);
    } while (why !== undefined);
  }

  async #askAddress(): Promise<string | undefined> {
    return this.#askText({
      title: l10n.t('Connect to a cluster (1 of 2)'),
      prompt: l10n.t('The address of any node, or of the load balancer before them'),
      placeHolder: 'https://ci.example.com',
      ignoreFocusOut: true,
      validateInput: text => problemOf(() => checkNodeUrl(text)),
    });
  }

  /** @param why the one before was refused */
  async #askToken(host: string, why: string | undefined): Promise<string | undefined> {
    const token = await this.#askText({
      title: l10n.t('Connect to a cluster (2 of 2)'),
      prompt:
        why === undefined
          ? l10n.t('A token of the cluster at {0}. It is kept in the secret storage of VS Code', host)
          : l10n.t('The cluster at {0} refused that token: {1}. Give another one', host, why),
      placeHolder: 'sci_…',
      password: true,
      ignoreFocusOut: true,
      validateInput: text => (text.trim() === '' ? l10n.t('A token is needed') : undefined),
    });
    return token?.trim();
  }

  /** Why the cluster refuses the token; undefined: it knows it. */
  async #tryToken(address: string, token: string): Promise<string | undefined> {
    try {
      await showProgress(l10n.t`Connecting to ${new URL(address).host} …`, async (_, cancel) => {
        await this.#clusters.add(address, token, signalOf(cancel));
      });
      return undefined;
    } catch (error) {
      if (isCiError(error, 'unauthenticated')) return describeError(error);
      throw error;
    }
  }

  async switchCluster(): Promise<void> {
    const { active } = this.#store;
    const mark = (id: string) => (id === active ? '$(check) ' : '$(blank) ');
    const known = this.#store.clusters.map(choice => ({
      label: `${mark(choice.id)}${plainLabel(choice.label)}`,
      description: choice.urls[0] ?? '',
      act: () => this.#clusters.use(choice),
    }));
    const local = {
      label: `${mark(LOCAL_CLUSTER)}${l10n.t('Local node')}`,
      description: l10n.t('on this machine, with nothing to set up'),
      act: () => this.startLocalNode(),
    };
    const other = {
      label: `$(add) ${l10n.t('Connect to another cluster…')}`,
      description: '',
      act: () => this.connect(),
    };
    const picked = await vscode.window.showQuickPick([...known, local, other], { title: l10n.t('Which cluster?') });
    await picked?.act();
  }

  async forgetCluster(): Promise<void> {
    if (this.#store.clusters.length === 0) {
      void showInformation(l10n.t('No cluster is known but that of this machine: there is nothing to forget.'));
      return;
    }
    const choice = await this.#pick(l10n.t('Forget which cluster, and its token?'));
    if (!choice) return;
    await this.#clusters.remove(choice);
    void showInformation(l10n.t('Forgot cluster {0} at {1}, and its token.', choice.label, choice.id));
  }

  async reconnect(): Promise<void> {
    const { connection } = this.#clusters;
    await this.#clusters.ready();
    if (connection.connection.kind === 'none') return this.switchCluster();
    // Where it is seen how that goes; and while nobody looks, nothing is connected.
    await vscode.commands.executeCommand('simple-ci.tasks.focus');
    await this.#clusters.tryNow();
  }

  async #pick(title: string): Promise<ClusterChoice | undefined> {
    const items = this.#store.clusters.map(choice => ({
      label: plainLabel(choice.label),
      description: choice.urls[0] ?? '',
      choice,
    }));
    return (await vscode.window.showQuickPick(items, { title }))?.choice;
  }
}

/** Whether tasks may be run: they, and the node, run programs that the workspace names. */
export async function checkTrust(): Promise<boolean> {
  if (vscode.workspace.isTrusted) return true;
  const manage = l10n.t('Manage Workspace Trust');
  const text = l10n.t('This workspace is not trusted: you can look at tasks and logs, but not run anything from here.');
  if ((await showWarning(text, manage)) === manage) await vscode.commands.executeCommand('workbench.trust.manage');
  return vscode.workspace.isTrusted;
}

function problemOf(check: () => unknown): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
