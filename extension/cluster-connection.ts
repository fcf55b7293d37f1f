import * as l10n from '@vscode/l10n';
import type { ClusterView, NodeView } from '../shared/api.ts';
import type { Client, ClientOptions } from '../shared/client.ts';
import { CiError, describeError, isCiError } from '../shared/errors.ts';
import type { Clock } from './clock.ts';
import { type ClusterState, UNKNOWN_CLUSTER, withNodes, withTasks } from './cluster-state.ts';
import { type ClusterChoice, type ConnectionEvent, type ConnectionState, nextConnection } from './connection.ts';
import { EventSource } from './event-source.ts';
import { NoAnswer } from './no-answer.ts';
import { failoverUrls } from './node-urls.ts';
import { sleepAwake, wokenUp } from './sleep-awake.ts';

export interface ConnectionOptions {
  readonly clock: Clock;
  /** The token that was given for this cluster. Rejects if there is none. */
  readonly tokenOf: (choice: ClusterChoice) => Promise<string>;
  /** What goes wrong on the way, for the extension's own log. */
  readonly note: (text: string) => void;
}

/** People see no difference between this and at once. Milliseconds. */
const TELL_MS = 100;
/** Of who waits for an answer: a node gets so long to begin it, and all nodes together so long. Milliseconds. */
const ANSWER_MS = 6000;
const ANSWERS_MS = 12_000;

type ClientLimits = Pick<ClientOptions, 'patienceMs' | 'answerMs'>;

/** Of who can begin anew: a stream that broke tries the nodes it knows for a moment; then the state says so, and other nodes are tried. */
export const IMPATIENT: ClientLimits = { patienceMs: 2000, answerMs: ANSWERS_MS };
const PATIENT: ClientLimits = { patienceMs: 120_000 };
/** So often in a row all nodes have been tried in vain before that is taken for how things are: one may have died just now. */
const KNOWN_FAILURES = 2;

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
  /** Of those, the one that answered last. */
  #answered: string | undefined;
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

  /** Of the nodes that are asked, the first first: the one that answered last, then those that were given, then those that were learned. */
  get urls(): readonly string[] {
    const first = this.#urls.filter(url => url === this.#answered);
    return [...new Set([...first, ...this.#urls])];
  }

  /** Where this cluster can be asked: not at addresses of another one that is meant by now. */
  urlsOf(choice: ClusterChoice): readonly string[] {
    return this.#isMeant(choice) ? this.urls : choice.urls;
  }

  /**
   * From now on it is about this cluster, or about none. At once: whoever asks meanwhile must not send the token of one cluster to the
   * addresses of another. Resolves when the connection to the one before has ended.
   */
  async choose(choice: ClusterChoice | undefined): Promise<void> {
    const stopped = this.#stop();
    this.#urls = choice?.urls ?? [];
    this.#answered = undefined;
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
  async client(limits = PATIENT): Promise<Client> {
    return this.#clientOf(this.#chosen(), this.urls, limits);
  }

  /**
   * Asks something that the user waits for: the answer, or that there is none, comes within seconds, and at once if it is known already
   * that no node can be reached. Which other nodes could be asked is learned on the way.
   * @param attempt a clause for people: "Cannot cancel the task"
   * @param signal of who may give up before that; it is told to the question together with the limit
   */
  async ask<T>(
    attempt: string,
    question: (client: Client, signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const choice = this.#chosen();
    const known = this.#knownSilence();
    if (known !== undefined) throw new NoAnswer(attempt, choice, known);
    const limit = AbortSignal.timeout(ANSWERS_MS);
    const either = signal ? AbortSignal.any([signal, limit]) : limit;
    try {
      await using client = await this.#clientOf(choice, this.urls, { patienceMs: 0, answerMs: ANSWER_MS });
      if (!this.#state.nodes) await this.#askNodes(client, choice, either);
      const answer = await question(client, either);
      this.#hasAnswered(client, choice);
      return answer;
    } catch (error) {
      signal?.throwIfAborted();
      if (limit.aborted) throw new NoAnswer(attempt, choice, l10n.t('it took more than {0} s', ANSWERS_MS / 1000));
      if (isCiError(error, 'unavailable')) throw new NoAnswer(attempt, choice, describeError(error));
      throw error;
    }
  }

  /** Resolves once a node of the chosen cluster has answered: for who goes on by other ways, and would do so in vain where none does. */
  async reach(attempt: string, signal?: AbortSignal): Promise<void> {
    await this.ask(attempt, (client, either) => client.call('cluster', {}, either), signal);
  }

  #chosen(): ClusterChoice {
    if (this.#connection.kind !== 'none') return this.#connection.choice;
    throw new CiError(
      'invalid',
      l10n.t('Cannot ask the cluster as none is chosen: connect to one, or start a local node'),
    );
  }

  /** Why no node can be reached, if that was found out just now. While nobody keeps the connection up, it is not known how things are. */
  #knownSilence(): string | undefined {
    const now = this.#connection;
    return this.#keeping && now.kind === 'waiting' && now.failures >= KNOWN_FAILURES ? now.reason : undefined;
  }

  async #askNodes(client: Client, choice: ClusterChoice, signal: AbortSignal): Promise<void> {
    const { nodes } = await client.call('listNodes', {}, signal);
    if (this.#isMeant(choice)) this.#learnUrls(nodes);
    this.#hasAnswered(client, choice);
  }

  /** It is asked first from now on. */
  #hasAnswered({ url }: Client, choice: ClusterChoice): void {
    if (this.#isMeant(choice)) this.#answered = url;
  }

  /** Another cluster may have been chosen meanwhile: what the one before says is not about it. */
  #isMeant(choice: ClusterChoice): boolean {
    return this.#connection.kind !== 'none' && this.#connection.choice === choice;
  }

  /** Talks to this very node, once. Undefined if it is not there, or tells an address that the token must not go to. */
  async clientAt(node: string): Promise<Client | undefined> {
    const address = this.#state.nodes?.get(node)?.address;
    if (this.#connection.kind === 'none' || address === undefined) return undefined;
    const { choice } = this.#connection;
    const url = failoverUrls(choice.urls, [address]).find(
      usable => URL.parse(usable)?.href === URL.parse(address)?.href,
    );
    return url === undefined ? undefined : this.#clientOf(choice, [url], { patienceMs: 0 });
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
    await using client = await this.#clientOf(choice, this.urls, IMPATIENT);
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
    await using client = await this.#clientOf(choice, this.#urls, IMPATIENT);
    const cluster = await client.call('cluster', {}, signal);
    await this.#askNodes(client, choice, signal);
    signal.throwIfAborted();
    return cluster;
  }

  /** Nodes come and go: those that are there now are asked when one of them falls silent. */
  #learnUrls(nodes: Iterable<NodeView>): void {
    if (this.#connection.kind === 'none') return;
    const addresses = [...nodes].map(node => node.address);
    this.#urls = failoverUrls(this.#connection.choice.urls, addresses);
  }

  async #watchTasks(client: Client, cluster: ClusterView, signal: AbortSignal): Promise<void> {
    let isFirst = true;
    for await (const update of client.watchTasks(signal)) {
      signal.throwIfAborted();
      // Also where it was connected when somebody looked last: who has asked in vain meanwhile waits to hear that it is again.
      if (isFirst) this.#happened({ kind: 'answered', cluster });
      isFirst = false;
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

  async #clientOf(choice: ClusterChoice, urls: readonly string[], limits: ClientLimits): Promise<Client> {
    // The schemas of the API are most of the extension's code: they are loaded when there is somebody to talk to.
    const { createClient } = await import('../shared/client.ts');
    const token = () => this.#options.tokenOf(choice);
    return createClient({ urls, token, ...limits });
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
