import type { NodeView } from '../../shared/api.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { follow } from '../store/follow.ts';
import type { Change, StoreRecord } from '../store/store.ts';
import { Wakeup } from '../system/wakeup.ts';
import { readMember } from '../cluster/read-member.ts';
import type { NodesEvent } from './socket-session.ts';

type Members = ReadonlyMap<string, NodeView>;

/**
 * The nodes that are alive, for everyone who looks on at this node: one watch for all, which runs while there are any. What
 * is known is one small map; each follower is told how it differs from what it was told last, so a slow one costs nothing.
 */
export class NodeFeed {
  readonly #cluster: Cluster;
  readonly #changed = new Wakeup();
  readonly #stopped = new AbortController();
  #members: Members | undefined;
  #failure: unknown;
  #followers = 0;
  #watch: { readonly end: AbortController; readonly done: Promise<void> } | undefined;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Begins with a snapshot. Ends quietly with its signal, or when the feed is stopped. */
  async *follow(signal: AbortSignal): AsyncGenerator<NodesEvent> {
    const ended = AbortSignal.any([signal, this.#stopped.signal]);
    this.#begin();
    try {
      let told: Members | undefined;
      while (!ended.aborted) {
        if (this.#failure !== undefined) throw this.#failure;
        const now = this.#members;
        if (now && now !== told) yield* difference(told, now);
        told = now;
        if (now === this.#members && this.#failure === undefined) await this.#changed.wait(ended);
      }
    } finally {
      await this.#end();
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#watch?.end.abort();
    await this.#watch?.done;
  }

  #begin(): void {
    this.#followers++;
    if (this.#watch) return;
    const end = new AbortController();
    this.#watch = { end, done: this.#run(end.signal) };
  }

  async #end(): Promise<void> {
    if (--this.#followers > 0) return;
    const watch = this.#watch;
    this.#watch = undefined;
    this.#members = undefined;
    this.#failure = undefined;
    watch?.end.abort();
    await watch?.done;
  }

  /** What waiting does not mend, such as a store that refuses this node, ends the watch and is told to every follower. */
  async #run(signal: AbortSignal): Promise<void> {
    const { store, keys, clock, chance } = this.#cluster;
    try {
      for await (const event of follow(store, { prefix: keys.members, clock, chance }, signal)) {
        if (event.kind === 'snapshot') this.#set(new Map(event.records.flatMap(record => this.#entry(record))));
        else this.#set(this.#apply(event.changes));
      }
    } catch (error) {
      this.#failure = error;
      this.#changed.notify();
    }
  }

  #apply(changes: readonly Change[]): Members {
    const members = new Map(this.#members);
    for (const change of changes) {
      if (change.kind === 'delete') members.delete(change.key.slice(this.#cluster.keys.members.length));
      else for (const [name, view] of this.#entry(change.record)) members.set(name, view);
    }
    return members;
  }

  #entry({ key, value }: StoreRecord): [string, NodeView][] {
    const view = readMember(value);
    return view ? [[key.slice(this.#cluster.keys.members.length), view]] : [];
  }

  #set(members: Members): void {
    this.#members = members;
    this.#changed.notify();
  }
}

function* difference(told: Members | undefined, now: Members): Generator<NodesEvent> {
  if (!told) {
    yield { kind: 'snapshot', nodes: [...now.values()] };
    return;
  }
  for (const [name, node] of now) if (told.get(name) !== node) yield { kind: 'changed', node };
  for (const name of told.keys()) if (!now.has(name)) yield { kind: 'gone', id: name };
}
