import { CiError } from '../../shared/errors.ts';
import { compareKeys } from '../../node-runtime/objects/object-key.ts';
import type {
  Change,
  CommitResult,
  Compare,
  LeaseId,
  Operation,
  RangeRequest,
  RangeResult,
  StoreRecord,
  Transaction,
} from '../../node-runtime/store/store.ts';
import type { KeyRange } from '../../node-runtime/store/key-range.ts';
import type { Clock } from '../../node-runtime/system/clock.ts';
import { Watchers, type WatchSink } from './model-watchers.ts';
import type { SeededChance } from './seeded-chance.ts';

/** What etcd does that its callers would rather it did not. */
export const UGLY_PARTS = [
  'a put refused for want of space',
  'a lease armed anew',
  'a reply cut short',
  'a watch compacted away',
] as const;
export type UglyPart = (typeof UGLY_PARTS)[number];

/** Why something was changed: by whom a transaction came, or what became of a lease. */
export type Cause = 'transaction' | 'lease expired' | 'lease revoked' | 'lease revoked early';

/** One revision: what etcd's history has of it, and when and why it came to be. */
export interface Entry {
  readonly revision: number;
  readonly changes: readonly Change[];
  readonly cause: Cause;
}

interface Version {
  readonly record: StoreRecord;
  /** The revision that put another in its place or deleted it. */
  superseded: number;
}

interface Lease {
  readonly ttlMs: number;
  expires: number;
  readonly keys: Set<string>;
  /** Ends the wait for its end. */
  readonly over: AbortController;
}

/** What there is at one moment, without its history. To be restored once. */
export interface Backup {
  readonly versions: Map<string, Version[]>;
  readonly leases: Map<LeaseId, Lease>;
}

/** etcd ends leases this late at most, in milliseconds. */
const LESSOR_TICK_MS = 500;

/**
 * etcd as this project knows it, without its network and disks: revisions, transactions, leases, watches, compaction, the
 * NOSPACE alarm, leader changes that re-arm leases, backups. What it does is decided at once; time and chance are passed in.
 */
export class ModelEtcd {
  readonly #clock: Clock;
  readonly #chance: SeededChance;
  #versions = new Map<string, Version[]>();
  /** Keys that have or had a record, in order. */
  #keys: string[] = [];
  readonly #entries: Entry[] = [];
  #leases = new Map<LeaseId, Lease>();
  readonly #watchers = new Watchers(this);
  #revision = 1;
  #compacted = 0;
  #lastLease = 0;
  /** Told of every revision, before anybody else can know of it. */
  onEntry: (entry: Entry) => void = () => undefined;
  /** Told whenever one of its ugly parts has shown. */
  onUgly: (part: UglyPart) => void = () => undefined;
  /** Counts up when it is restored: what was on its way to it is lost. */
  generation = 0;
  /** Whether there is a leader. Without one nothing is read, written or watched, and no lease ends. */
  hasLeader = true;
  /** The database has reached its quota: nothing can be put, and no lease be granted. */
  isFull = false;

  constructor(clock: Clock, chance: SeededChance) {
    this.#clock = clock;
    this.#chance = chance;
  }

  get revision(): number {
    return this.#revision;
  }

  get compacted(): number {
    return this.#compacted;
  }

  /** The history that has not been compacted, in order. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** The most revisions in one reply of a watch. etcd's own number is 1000. */
  set mostRevisionsInReply(most: number) {
    this.#watchers.mostRevisions = most;
  }

  get leases(): readonly LeaseId[] {
    return [...this.#leases.keys()];
  }

  get(key: string): StoreRecord | undefined {
    return presentOf(this.#versions.get(key));
  }

  /** Every record there is, in order. */
  *all(prefix: string): Generator<StoreRecord> {
    for (const key of this.#keysUnder(prefix)) {
      const record = this.get(key);
      if (record) yield record;
    }
  }

  keysUnderLease(lease: LeaseId): readonly string[] {
    return [...(this.#leases.get(lease)?.keys ?? [])];
  }

  range(request: RangeRequest): RangeResult {
    const { limit, keysOnly = false, revision = this.#revision } = request;
    if (revision > this.#revision)
      throw new CiError('invalid', `Cannot read at a revision that is yet to come: ${revision}, now ${this.#revision}`);
    if (revision < this.#compacted) throw this.#gone('read at', revision);
    const found: StoreRecord[] = [];
    for (const key of 'key' in request ? [request.key] : this.#keysUnder(request.prefix, request.after)) {
      const record = recordAt(this.#versions.get(key), revision);
      if (record) found.push(keysOnly ? { ...record, value: '' } : record);
      if (found.length > limit) break;
    }
    return { revision, records: found.slice(0, limit), more: found.length > limit };
  }

  commit({ when, then, otherwise = [] }: Transaction): Exclude<CommitResult, { kind: 'ambiguous' }> {
    // etcd looks at the whole transaction, whichever way it goes.
    if (this.isFull && then.some(operation => 'put' in operation)) throw this.#full();
    if (!when.every(compare => this.#holds(compare))) {
      const found = otherwise.map(key => this.get(key)).filter(record => record !== undefined);
      return { kind: 'refused', revision: this.#revision, records: new Map(found.map(each => [each.key, each])) };
    }
    for (const operation of then)
      if ('put' in operation && operation.lease !== undefined && !this.#leases.has(operation.lease))
        throw new CiError('conflict', `Cannot commit as the lease does not exist: ${operation.lease}`);
    return { kind: 'committed', revision: this.#apply(then, 'transaction') };
  }

  grant(ttlSeconds: number): LeaseId {
    if (this.isFull) throw this.#full();
    const id = String(++this.#lastLease + 7_000_000) as LeaseId;
    const ttlMs = ttlSeconds * 1000;
    this.#hold(id, { ttlMs, expires: this.#clock.monotonic() + ttlMs, keys: new Set(), over: new AbortController() });
    return id;
  }

  renew(id: LeaseId): number {
    const lease = this.#leases.get(id);
    if (!lease) return 0;
    lease.expires = this.#clock.monotonic() + lease.ttlMs;
    return lease.ttlMs / 1000;
  }

  revoke(id: LeaseId, cause: Exclude<Cause, 'transaction'> = 'lease revoked'): void {
    const lease = this.#leases.get(id);
    if (!lease) return;
    this.#apply(
      [...lease.keys].map(key => ({ delete: key })),
      cause,
    );
    lease.over.abort();
    this.#leases.delete(id);
  }

  /** Every lease gets its whole time anew, as the new leader does not know what is left of it. */
  changeLeader(): void {
    if (this.#leases.size > 0) this.onUgly('a lease armed anew');
    for (const lease of this.#leases.values())
      lease.expires = Math.max(lease.expires, this.#clock.monotonic() + lease.ttlMs);
  }

  /** Drops what only reads at, and watches from, earlier revisions would need. */
  compact(revision = this.#revision): void {
    this.#compacted = Math.max(this.#compacted, Math.min(revision, this.#revision));
    for (const [key, versions] of this.#versions) {
      const kept = versions.filter(version => version.superseded > this.#compacted);
      if (kept.length === versions.length) continue;
      if (kept.length > 0) this.#versions.set(key, kept);
      else this.#forgetKey(key);
    }
    const dropped = this.#entries.findIndex(entry => entry.revision >= this.#compacted);
    this.#entries.splice(0, dropped === -1 ? this.#entries.length : dropped);
    this.#watchers.changed();
  }

  backUp(): Backup {
    const versions = new Map<string, Version[]>();
    for (const [key, all] of this.#versions) {
      const record = presentOf(all);
      if (record) versions.set(key, [{ record, superseded: Number.POSITIVE_INFINITY }]);
    }
    const copy = (lease: Lease) => ({ ...lease, keys: new Set(lease.keys), over: new AbortController() });
    return { versions, leases: new Map([...this.#leases].map(([id, lease]) => [id, copy(lease)])) };
  }

  /** As the manual says: revisions go on from a number that was never reached, and history from before is dropped. */
  restore(backup: Backup): void {
    this.generation++;
    this.#revision += 1_000_000;
    this.#compacted = this.#revision;
    this.#versions = backup.versions;
    this.#keys = [...backup.versions.keys()].sort(compareKeys);
    this.#entries.length = 0;
    for (const lease of this.#leases.values()) lease.over.abort();
    this.#leases = new Map();
    const now = this.#clock.monotonic();
    for (const [id, lease] of backup.leases) this.#hold(id, Object.assign(lease, { expires: now + lease.ttlMs }));
    this.#watchers.changed();
  }

  /** @returns what ends the watch */
  watch(range: KeyRange, from: number, sink: WatchSink): () => void {
    return this.#watchers.add(range, from, sink);
  }

  #hold(id: LeaseId, lease: Lease): void {
    this.#leases.set(id, lease);
    void this.#expire(id, lease);
  }

  #apply(operations: readonly Operation[], cause: Cause): number {
    const revision = this.#revision + 1;
    const changes: Change[] = [];
    for (const operation of operations) {
      const change = 'put' in operation ? this.#put(operation, revision) : this.#delete(operation.delete, revision);
      if (change) changes.push(change);
    }
    if (changes.length === 0) return this.#revision;
    this.#revision = revision;
    const entry: Entry = { revision, changes, cause };
    this.#entries.push(entry);
    this.onEntry(entry);
    this.#watchers.changed();
    return revision;
  }

  #put({ put: key, value, lease }: Extract<Operation, { put: string }>, revision: number): Change {
    const before = this.#supersede(key, revision);
    const createRevision = before?.createRevision ?? revision;
    const record = { key, value, createRevision, modRevision: revision, ...(lease !== undefined && { lease }) };
    const versions = this.#versions.get(key) ?? this.#addKey(key);
    versions.push({ record, superseded: Number.POSITIVE_INFINITY });
    if (lease !== undefined) this.#leases.get(lease)?.keys.add(key);
    return { kind: 'put', record };
  }

  #delete(key: string, revision: number): Change | undefined {
    return this.#supersede(key, revision) && { kind: 'delete', key, revision };
  }

  #supersede(key: string, revision: number): StoreRecord | undefined {
    const last = this.#versions.get(key)?.at(-1);
    if (!last || last.superseded !== Number.POSITIVE_INFINITY) return undefined;
    last.superseded = revision;
    if (last.record.lease !== undefined) this.#leases.get(last.record.lease)?.keys.delete(key);
    return last.record;
  }

  #holds(compare: Compare): boolean {
    const record = this.get(compare.key);
    if ('exists' in compare) return (record !== undefined) === compare.exists;
    if ('createRevision' in compare) return record?.createRevision === compare.createRevision;
    return (record?.modRevision ?? 0) === compare.modRevision;
  }

  /** Ends a lease when its time is up, or up to half a second later. */
  async #expire(id: LeaseId, lease: Lease): Promise<void> {
    const { signal } = lease.over;
    while (!signal.aborted) {
      const rest = lease.expires - this.#clock.monotonic();
      if (rest <= 0 && this.hasLeader) return this.revoke(id, 'lease expired');
      const lateness = LESSOR_TICK_MS * this.#chance.random();
      await this.#clock.sleep(Math.max(rest, 0) + lateness, signal).catch(() => undefined);
    }
  }

  #addKey(key: string): Version[] {
    const versions: Version[] = [];
    this.#versions.set(key, versions);
    this.#keys.splice(this.#place(key), 0, key);
    return versions;
  }

  #forgetKey(key: string): void {
    this.#versions.delete(key);
    this.#keys.splice(this.#place(key), 1);
  }

  /** Where a key is among the others, or would be. */
  #place(key: string): number {
    let [from, to] = [0, this.#keys.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (compareKeys(this.#keys[middle]!, key) < 0) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  *#keysUnder(prefix: string, after?: string): Generator<string> {
    const isAfter = after !== undefined && compareKeys(after, prefix) >= 0;
    // The least key behind another one is that with a zero byte added.
    for (let at = this.#place(isAfter ? `${after}\0` : prefix); at < this.#keys.length; at++) {
      const key = this.#keys[at]!;
      if (!key.startsWith(prefix)) return;
      yield key;
    }
  }

  #full(): CiError {
    this.onUgly('a put refused for want of space');
    return new CiError('unavailable', 'Cannot commit as etcd’s database has reached its quota (alarm NOSPACE)');
  }

  #gone(what: string, revision: number): CiError {
    return new CiError('gone', `Cannot ${what} revision ${revision} as history before ${this.#compacted} was dropped`);
  }
}

function presentOf(versions: readonly Version[] | undefined): StoreRecord | undefined {
  const last = versions?.at(-1);
  return last?.superseded === Number.POSITIVE_INFINITY ? last.record : undefined;
}

function recordAt(versions: readonly Version[] | undefined, revision: number): StoreRecord | undefined {
  return versions?.findLast(({ record, superseded }) => record.modRevision <= revision && superseded > revision)
    ?.record;
}
