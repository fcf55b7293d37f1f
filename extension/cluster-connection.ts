import * as l10n from '@vscode/l10n';
import type { ClusterView, NodeView } from '../shared/api.ts';
import type { Client } from '../shared/client.ts';
import { CiError } from '../shared/errors.ts';
import type { Clock } from './clock.ts';
import { type ClusterState, UNKNOWN_CLUSTER, withNodes, withTasks } from './cluster-state.ts';
import { type ClusterChoice, type ConnectionEvent, type ConnectionState, nextConnection } from './connection.ts';
import { EventSource } from './event-source.ts';
import { failoverUrls } from './node-urls.ts';
import { sleepAwake, wokenUp } from './sleep-awake.ts';

export interface ConnectionOptions {
  readonly clock: Clock;
  /** The token that was given for this cluster. Rejects if there is none. */
  readonly tokenOf: (choice: ClusterChoice) => Promise<string>;
  /** What goes wrong on the way, for the extension's own log. */
  readonly note: (text: string) => void;
}

/**
 * A stream that broke tries the nodes it knows for this long by itself; then the state says so, and other nodes are tried.
 * Milliseconds.
 */
export const PATIENCE_MS = 2000;
/** People see no difference between this and at once. Milliseconds. */
const TELL_MS = 100;
/** For those who cannot begin anew. */
const LONG_PATIENCE_MS = 120_000;

/**
 * The way to the chosen cluster: kept up while somebody wants it, with tasks and nodes pushed to `state`. Who only needs an
 * answer asks for a `client`.
 */
export class ClusterConnection implements AsyncDisposable {
  readonly connectionChanged = new EventSource<ConnectionState>();
  readonly stateChanged = new EventSource<ClusterState>();
  readonly #options: ConnectionOptions;
  #connection: ConnectionState = { kind: 'none' };
  #state = UNKNOWN_CLUSTER;
  #urls: readonly string[] = [];
  #wants = 0;
  #telling: Promise<void> | undefined;
  readonly #ending = new AbortController();
  #keeping: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  get connection(): ConnectionState {
    return this.#connection;
  }

  get state(): ClusterState {
    return this.#state;
  }

  /** Of the nodes that are asked, the first first. */
  get urls(): readonly string[] {
    return this.#urls;
  }

  /**
   * From now on it is about this cluster, or about none. At once: whoever asks meanwhile must not send the token of one cluster to the
   * addresses of another. Resolves when the connection to the one before has ended.
   */
  async choose(choice: ClusterChoice | undefined): Promise<void> {
    const stopped = this.#stop();
    this.#urls = choice?.urls ?? [];
    this.#setState(UNKNOWN_CLUSTER);
    this.#happened({ kind: 'chosen', choice });
    if (this.#wants > 0) this.#start();
    await stopped;
  }

  /** Somebody looks, until he disposes of what he gets. While nobody does, nothing is connected and nothing runs. */
  want(): Disposable {
    this.#wants++;
    this.#start();
    let isOver = false;
    return {
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        if (--this.#wants === 0) void this.#stop();
      },
    };
  }

  /** At once, instead of after the pause. */
  async tryNow(): Promise<void> {
    await this.#stop();
    this.#happened({ kind: 'tried' });
    if (this.#wants > 0) this.#start();
  }

  /** Talks to the chosen cluster. The caller ends it. Throws if none is chosen. */
  async client(patienceMs = LONG_PATIENCE_MS): Promise<Client> {
    if (this.#connection.kind === 'none')
      throw new CiError(
        'invalid',
        l10n.t('Cannot ask the cluster as none is chosen: connect to one, or start a local node'),
      );
    return this.#clientOf(this.#connection.choice, this.#urls, patienceMs);
  }

  /** Talks to this very node, once. Undefined if it is not there, or tells an address that the token must not go to. */
  async clientAt(node: string): Promise<Client | undefined> {
    const address = this.#state.nodes?.get(node)?.address;
    if (this.#connection.kind === 'none' || address === undefined) return undefined;
    const { choice } = this.#connection;
    const url = failoverUrls(choice.urls, [address]).find(
      usable => URL.parse(usable)?.href === URL.parse(address)?.href,
    );
    return url === undefined ? undefined : this.#clientOf(choice, [url], 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#wants = 0;
    this.#ending.abort(new Error('Nobody is told any more'));
    await this.#stop();
    await this.#telling;
  }

  #start(): void {
    if (this.#keeping || this.#connection.kind === 'none') return;
    const stop = new AbortController();
    this.#keeping = { stop, done: this.#keep(this.#connection.choice, stop.signal) };
  }

  async #stop(): Promise<void> {
    const keeping = this.#keeping;
    this.#keeping = undefined;
    keeping?.stop.abort(new Error('Nobody looks any more'));
    await keeping?.done;
  }

  async #keep(choice: ClusterChoice, signal: AbortSignal): Promise<void> {
    const { clock, note } = this.#options;
    while (!signal.aborted) {
      try {
        this.#happened({ kind: 'tried' });
        await this.#connect(choice, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#happened({ kind: 'failed', error, random: clock.random() });
        const now = this.#connection;
        if (now.kind === 'refused' || now.kind === 'waiting') note(`${choice.label}: ${now.reason}`);
        if (now.kind !== 'waiting') return;
        await sleepAwake(clock, now.delayMs, signal).catch(() => undefined);
      }
    }
  }

  /** Until something breaks. */
  async #connect(choice: ClusterChoice, signal: AbortSignal): Promise<void> {
    const cluster = await this.#learn(choice, signal);
    signal.throwIfAborted();
    await using client = await this.#clientOf(choice, this.#urls, PATIENCE_MS);
    const broken = new AbortController();
    const either = AbortSignal.any([signal, broken.signal]);
    const watching = [
      this.#watchTasks(client, cluster, either),
      this.#watchNodes(client, either),
      this.#watchSleep(either),
    ];
    try {
      await Promise.race(watching);
      throw new CiError('unavailable', l10n.t('The cluster said no more'));
    } finally {
      broken.abort(new Error('The other subscription broke'));
      await Promise.allSettled(watching);
    }
  }

  /** Who is there, and which other nodes could be asked. */
  async #learn(choice: ClusterChoice, signal: AbortSignal): Promise<ClusterView> {
    const urls = [...new Set([...choice.urls, ...this.#urls])];
    await using client = await this.#clientOf(choice, urls, PATIENCE_MS);
    const cluster = await client.call('cluster', {}, signal);
    const { nodes } = await client.call('listNodes', {}, signal);
    // Another cluster may be meant by now: what this one says is not about it.
    signal.throwIfAborted();
    this.#learnUrls(nodes);
    return cluster;
  }

  /** Nodes come and go: those that are there now are asked when one of them falls silent. */
  #learnUrls(nodes: Iterable<NodeView>): void {
    if (this.#connection.kind === 'none') return;
    const addresses = [...nodes].map(node => node.address);
    this.#urls = failoverUrls(this.#connection.choice.urls, addresses);
  }

  async #watchTasks(client: Client, cluster: ClusterView, signal: AbortSignal): Promise<void> {
    for await (const update of client.watchTasks(signal)) {
      signal.throwIfAborted();
      if (this.#connection.kind !== 'connected') this.#happened({ kind: 'answered', cluster });
      this.#setState(withTasks(this.#state, update));
    }
  }

  async #watchNodes(client: Client, signal: AbortSignal): Promise<void> {
    for await (const update of client.watchNodes(signal)) {
      signal.throwIfAborted();
      this.#setState(withNodes(this.#state, update));
      this.#learnUrls(this.#state.nodes?.values() ?? []);
    }
  }

  /** What was connected before the machine slept may be dead, and nobody would say so for a while. */
  async #watchSleep(signal: AbortSignal): Promise<void> {
    await wokenUp(this.#options.clock, signal);
    throw new CiError('unavailable', l10n.t('The machine was asleep'));
  }

  async #clientOf(choice: ClusterChoice, urls: readonly string[], patienceMs: number): Promise<Client> {
    // The schemas of the API are most of the extension's code: they are loaded when there is somebody to talk to.
    const { createClient } = await import('../shared/client.ts');
    const token = () => this.#options.tokenOf(choice);
    return createClient({ urls, token, patienceMs });
  }

  #happened(event: ConnectionEvent): void {
    const next = nextConnection(this.#connection, event);
    if (next === this.#connection) return;
    this.#connection = next;
    this.connectionChanged.emit(next);
  }

  #setState(state: ClusterState): void {
    this.#state = state;
    this.#telling ??= this.#tell().finally(() => {
      this.#telling = undefined;
    });
  }

  /** What a busy cluster says in a short time is told as one change: whoever hears of it looks through all tasks. */
  async #tell(): Promise<void> {
    await this.#options.clock.sleep(TELL_MS, this.#ending.signal).catch(() => undefined);
    if (!this.#ending.signal.aborted) this.stateChanged.emit(this.#state);
  }
}
