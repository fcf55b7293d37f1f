import type { IWatchResponse } from 'etcd3';
import type { KeyRange } from '../../node-runtime/store/key-range.ts';
import type { Change } from '../../node-runtime/store/store.ts';
import type { ModelEtcd } from './model-etcd.ts';

/** Where a watch gets its replies; the next one is asked for when the last has arrived. */
export interface WatchSink {
  /** Resolves when the reply has arrived. */
  send(reply: IWatchResponse): Promise<void>;
}

interface Watcher {
  readonly range: KeyRange;
  readonly sink: WatchSink;
  from: number;
  isBusy: boolean;
  isOver: boolean;
}

/** The watches of a model of etcd: each gets what it lacks, one reply after the other. */
export class Watchers {
  readonly #etcd: ModelEtcd;
  readonly #all = new Set<Watcher>();
  mostRevisions = 1000;

  constructor(etcd: ModelEtcd) {
    this.#etcd = etcd;
  }

  /** @returns what ends the watch */
  add(range: KeyRange, from: number, sink: WatchSink): () => void {
    const watcher: Watcher = { range, sink, from, isBusy: true, isOver: false };
    this.#all.add(watcher);
    void sink.send(this.#reply({ created: true })).then(() => this.#sent(watcher));
    return () => this.#drop(watcher);
  }

  /** There is history that was not there, or some is gone. */
  changed(): void {
    for (const watcher of this.#all) this.#pump(watcher);
  }

  #pump(watcher: Watcher): void {
    if (watcher.isBusy || watcher.isOver || !this.#etcd.hasLeader) return;
    const reply = this.#next(watcher);
    if (!reply) return;
    watcher.isBusy = true;
    void watcher.sink.send(reply).then(() => this.#sent(watcher));
  }

  #sent(watcher: Watcher): void {
    watcher.isBusy = false;
    this.#pump(watcher);
  }

  /** The header always has the revision of the whole store, however much of the history is still to be sent. */
  #next(watcher: Watcher): IWatchResponse | undefined {
    if (watcher.from < this.#etcd.compacted) {
      this.#drop(watcher);
      this.#etcd.onUgly('a watch compacted away');
      return this.#reply({ canceled: true, compact_revision: String(this.#etcd.compacted) });
    }
    const first = this.#firstEntry(watcher.from);
    const wanted = [];
    let revisions = 0;
    for (let at = first; at < this.#etcd.entries.length && revisions < this.mostRevisions; at++) {
      const { changes, revision } = this.#etcd.entries[at]!;
      watcher.from = Math.max(watcher.from, revision + 1);
      const events = changes.filter(change => isWithin(watcher.range, keyOf(change))).map(toEvent);
      if (events.length === 0) continue;
      revisions++;
      wanted.push(...events);
    }
    // More is to come, though the header has the revision of all of it.
    if (wanted.length > 0 && watcher.from <= this.#etcd.revision) this.#etcd.onUgly('a reply cut short');
    return wanted.length === 0 ? undefined : this.#reply({ events: wanted });
  }

  #firstEntry(from: number): number {
    let at = this.#etcd.entries.length;
    while (at > 0 && this.#etcd.entries[at - 1]!.revision >= from) at--;
    return at;
  }

  #drop(watcher: Watcher): void {
    watcher.isOver = true;
    this.#all.delete(watcher);
  }

  #reply(parts: object): IWatchResponse {
    const header = { revision: String(this.#etcd.revision) };
    return { header, created: false, canceled: false, compact_revision: '0', events: [], ...parts } as never;
  }
}

function isWithin({ start, end }: KeyRange, key: string): boolean {
  const bytes = Buffer.from(key);
  return Buffer.compare(bytes, start) >= 0 && (end === undefined || Buffer.compare(bytes, end) < 0);
}

function keyOf(change: Change): string {
  return change.kind === 'put' ? change.record.key : change.key;
}

/** As it stands in etcd's messages. */
function toEvent(change: Change): object {
  if (change.kind === 'delete')
    return { type: 'Delete', kv: { key: Buffer.from(change.key), mod_revision: String(change.revision) } };
  const { key, value, createRevision, modRevision, lease = '0' } = change.record;
  const revisions = { create_revision: String(createRevision), mod_revision: String(modRevision) };
  return { type: 'Put', kv: { key: Buffer.from(key), value: Buffer.from(value), lease, ...revisions } };
}
