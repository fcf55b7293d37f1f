import * as l10n from '@vscode/l10n';
import { CiError } from '../shared/errors.ts';
import type { Clock } from './clock.ts';
import { ClusterConnection } from './cluster-connection.ts';
import type { ClusterStore } from './cluster-store.ts';
import type { ClusterChoice } from './connection.ts';
import { EventSource } from './event-source.ts';
import { LOCAL_CLUSTER, LocalNode, type UsedNode } from './local-node.ts';
import { checkNodeUrl } from './node-urls.ts';
import type { Program } from './program.ts';

export interface ClustersOptions {
  readonly store: ClusterStore;
  readonly clock: Clock;
  readonly findProgram: () => Promise<Program>;
  /** Where local nodes keep their cluster. */
  readonly localDataFolder: string;
  /** Of this machine’s nodes. That of a window has something added, so that windows do not meet. */
  readonly localNodeName: string;
  /** Whether the local node goes on when the window closes. */
  readonly keepsLocalNode: () => boolean;
  readonly note: (text: string) => void;
  /** Whether programs may be started: the user trusts the workspace. */
  readonly mayStart: () => boolean;
}

/** Which cluster is meant, the connection to it, and the local node if it is that one. */
export class Clusters implements AsyncDisposable {
  readonly connection: ClusterConnection;
  /** The local node ended although nobody asked for it; with what it said last. */
  readonly localNodeLost = new EventSource<string>();
  /** One runs now, or none does. */
  readonly localNodeChanged = new EventSource();
  readonly #options: ClustersOptions;
  readonly #ending = new AbortController();
  #resuming: Promise<void> | undefined;
  #starting: Promise<UsedNode> | undefined;
  #local: UsedNode | undefined;

  constructor(options: ClustersOptions) {
    const { clock, note } = options;
    this.#options = options;
    this.connection = new ClusterConnection({ clock, note, tokenOf: choice => this.tokenOf(choice) });
  }

  /** Whether the cluster of last time is elsewhere: then going back to it starts nothing. */
  get isRemote(): boolean {
    return this.#options.store.activeChoice !== undefined;
  }

  /** Whether a local node runs for this window, also while another cluster is meant. */
  get hasLocalNode(): boolean {
    return this.#local !== undefined;
  }

  /** Back to the cluster of last time, if there is one and nobody has gone there yet. Starts the local node if it was that one. */
  async ready(): Promise<void> {
    if (this.connection.connection.kind !== 'none') return;
    this.#resuming ??= this.#resume();
    try {
      await this.#resuming;
    } finally {
      this.#resuming = undefined;
    }
  }

  /** Starts the local node, if it does not run, and makes its cluster the one that is meant. */
  async useLocal(): Promise<void> {
    const { address } = await this.#localNode();
    await this.#options.store.activate(LOCAL_CLUSTER);
    await this.connection.choose({ id: LOCAL_CLUSTER, label: l10n.t('Local node'), urls: [address.url] });
  }

  /** Tries the token, and keeps it if the cluster knows it. Rejects with why not. */
  async add(address: string, token: string, signal: AbortSignal): Promise<ClusterChoice> {
    const url = checkNodeUrl(address);
    const { createClient } = await import('../shared/client.ts');
    await using client = createClient({ urls: [url], token });
    const { cluster } = await client.call('cluster', {}, signal);
    const choice = { id: url, label: cluster, urls: [url] };
    await this.#options.store.add(choice, token);
    await this.connection.choose(choice);
    return choice;
  }

  /** At once, as the user says so. In the place of a local node that has ended comes another one. */
  async tryNow(): Promise<void> {
    if (this.#options.store.active === LOCAL_CLUSTER) await this.useLocal();
    await this.connection.tryNow();
  }

  async use(choice: ClusterChoice): Promise<void> {
    await this.#options.store.activate(choice.id);
    await this.connection.choose(choice);
  }

  /** Forgets the cluster and its token. */
  async remove(choice: ClusterChoice): Promise<void> {
    const wasActive = this.#options.store.active === choice.id;
    await this.#options.store.remove(choice);
    if (wasActive) await this.connection.choose(undefined);
  }

  /** What the local node runs is handed back, and goes on when one is started again. */
  async stopLocal(): Promise<void> {
    const { store } = this.#options;
    if (store.active === LOCAL_CLUSTER) {
      await store.activate(undefined);
      await this.connection.choose(undefined);
    }
    await this.#letGo(node => node.end());
  }

  async tokenOf(choice: ClusterChoice): Promise<string> {
    if (choice.id !== LOCAL_CLUSTER) return this.#options.store.tokenOf(choice);
    if (this.#local) return this.#local.address.token;
    throw new CiError('unavailable', l10n.t('Cannot ask the local node as it does not run'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Error('The window closes'));
    await this.connection[Symbol.asyncDispose]();
    const isKept = (node: UsedNode) => !(node instanceof LocalNode) && this.#options.keepsLocalNode();
    await this.#letGo(async node => {
      if (!isKept(node)) await node.end();
    });
  }

  async #resume(): Promise<void> {
    const { store } = this.#options;
    if (store.active === LOCAL_CLUSTER) await this.useLocal();
    else await this.connection.choose(store.activeChoice);
  }

  async #localNode(): Promise<UsedNode> {
    const known = this.#local;
    // Meanwhile somebody else may have asked the same, and have started another one.
    if (known && !(await known.isAlive()) && this.#local === known) await this.#letGo(async () => undefined);
    this.#starting ??= this.#startLocal();
    return this.#starting;
  }

  async #startLocal(): Promise<UsedNode> {
    try {
      const node = (await this.#foundNode()) ?? (await this.#newNode());
      this.#uses(node);
      void node.ended.then(why => this.#localEnded(node, why));
      return node;
    } catch (error) {
      this.#starting = undefined;
      throw error;
    }
  }

  /** The one that an earlier window has kept. To look at it starts nothing. */
  async #foundNode(): Promise<UsedNode | undefined> {
    const { localDataFolder: dataFolder, clock } = this.#options;
    const { KeptNode } = await import('./kept-node.ts');
    return KeptNode.find({ dataFolder, clock });
  }

  async #newNode(): Promise<UsedNode> {
    const { mayStart, keepsLocalNode } = this.#options;
    if (!mayStart())
      throw new CiError('forbidden', l10n.t('Cannot start a local node as this workspace is not trusted'));
    return keepsLocalNode() ? this.#keptNode() : this.#windowsNode();
  }

  async #keptNode(): Promise<UsedNode> {
    const { findProgram, localDataFolder: dataFolder, localNodeName, clock } = this.#options;
    const { KeptNode } = await import('./kept-node.ts');
    const name = `${localNodeName}-kept`;
    return KeptNode.start({ program: await findProgram(), dataFolder, name, clock }, this.#ending.signal);
  }

  async #windowsNode(): Promise<UsedNode> {
    const { findProgram, localDataFolder: dataFolder, localNodeName, clock, note } = this.#options;
    const name = `${localNodeName}-${clock.random().toString(16).slice(2, 6).padEnd(4, '0')}`;
    return LocalNode.start({ program: await findProgram(), dataFolder, name, note }, this.#ending.signal);
  }

  async #localEnded(node: UsedNode, why: string): Promise<void> {
    if (this.#local !== node) return;
    this.#starting = undefined;
    this.#uses(undefined);
    this.localNodeLost.emit(why);
  }

  async #letGo(how: (node: UsedNode) => Promise<void>): Promise<void> {
    const node = this.#local;
    this.#starting = undefined;
    this.#uses(undefined);
    if (node) await how(node);
  }

  #uses(node: UsedNode | undefined): void {
    this.#local = node;
    this.localNodeChanged.emit();
  }
}
