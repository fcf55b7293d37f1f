import { CiError } from '../../shared/errors.ts';
import { type Clock, neverAborted } from '../system/clock.ts';
import { Wakeup } from '../system/wakeup.ts';
import { checkRange, checkTransaction, checkTtl, checkWatch } from './check-request.ts';
import { describeRange, describeTransaction } from './describe-request.ts';
import { readBootId } from './embedded/boot-id.ts';
import { CommitUnclear, Database } from './embedded/database.ts';
import { Leases } from './embedded/leases.ts';
import { Records } from './embedded/records.ts';
import { requestedRange, watchedRange } from './key-range.ts';
import type {
  Call,
  CommitResult,
  LeaseId,
  RangeRequest,
  RangeResult,
  Store,
  StoreRecord,
  Transaction,
  WatchBatch,
  WatchRequest,
} from './store.ts';

export interface EmbeddedStoreOptions {
  /** The SQLite file; made if it is missing, with its folder. `:memory:` for one that ends with the store. */
  readonly file: string;
  readonly clock: Clock;
  /** How many revisions can be read and watched back to. Default: 10,000. */
  readonly historyLength?: number;
  /** Which life of the machine this is. Default: what the operating system says. */
  readonly boot?: string;
}

const WATCH_BATCH = 1000;
/** How often changes of other processes are looked for, in milliseconds: right after one, and when there have been none. */
const POLL_SOON_MS = 2;
const POLL_LATE_MS = 15;
const SWEEP_MS = 500;
const BACKGROUND_TIMEOUT_MS = 5000;

/**
 * The store of one machine: a SQLite file that any number of its processes may share. What has been acknowledged is on the
 * disk. A watcher hears of a change of its own process at once, of another's within about 15 ms.
 * Leases end only while at least one process has the file open; each of them sees to it.
 * Not for network file systems.
 */
export class EmbeddedStore implements Store {
  readonly #database: Database;
  readonly #records: Records;
  readonly #leases: Leases;
  readonly #clock: Clock;
  readonly #historyLength: number;
  readonly #closed = new AbortController();
  readonly #changed = new Wakeup();
  readonly #background: Promise<unknown>[] = [];
  #watchers = 0;
  readonly #watched = new Wakeup();

  private constructor(database: Database, options: EmbeddedStoreOptions) {
    this.#database = database;
    this.#records = new Records(database);
    this.#leases = new Leases(database, options.boot ?? readBootId());
    this.#clock = options.clock;
    this.#historyLength = options.historyLength ?? 10_000;
  }

  /** Fails with `invalid` for a file that is no store, `newer-format`, or `unavailable`. */
  static async open(options: EmbeddedStoreOptions, signal: AbortSignal = neverAborted): Promise<EmbeddedStore> {
    const database = await Database.open(options.file, options.clock, signal);
    const store = new EmbeddedStore(database, options);
    const call = { signal, timeoutMs: BACKGROUND_TIMEOUT_MS };
    await store.#certainly(store.#write('open the store', call, () => store.#leases.rearm(options.clock.monotonic())));
    store.#background.push(store.#sweep(store.#closed.signal), store.#poll(store.#closed.signal));
    return store;
  }

  async range(request: RangeRequest, call: Call): Promise<RangeResult> {
    checkRange(request);
    return this.#database.read(describeRange(request), call, () => this.#range(request));
  }

  async commit(transaction: Transaction, call: Call): Promise<CommitResult> {
    checkTransaction(transaction);
    try {
      return await this.#write(describeTransaction(transaction), call, () => this.#commit(transaction));
    } catch (error) {
      if (error instanceof CommitUnclear) return { kind: 'ambiguous', cause: unclear(error) };
      throw error;
    }
  }

  async *watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WatchBatch> {
    checkWatch(request);
    const range = watchedRange(request);
    const ended = AbortSignal.any([signal, this.#closed.signal]);
    const call = { signal: ended, timeoutMs: BACKGROUND_TIMEOUT_MS };
    this.#addWatcher();
    try {
      for (let from = request.from; !ended.aborted; ) {
        const changed = this.#changed.wait(ended);
        const { revision, changes } = await this.#database.read('watch', call, () => {
          this.#refuseCompacted('watch from', from - 1);
          return this.#records.changes(range, from, WATCH_BATCH);
        });
        from = Math.max(from, revision + 1);
        if (changes.length > 0) yield { revision, changes };
        if (changes.length < WATCH_BATCH) await changed;
      }
    } catch (error) {
      if (!ended.aborted) throw error;
    } finally {
      this.#watchers--;
    }
  }

  async grantLease(ttlSeconds: number, call: Call): Promise<LeaseId> {
    checkTtl(ttlSeconds);
    return this.#certainly(
      this.#write('grant a lease', call, () => this.#leases.grant(ttlSeconds, this.#clock.monotonic())),
    );
  }

  async renewLease(lease: LeaseId, call: Call): Promise<number> {
    return this.#certainly(
      this.#write('renew a lease', call, () => this.#leases.renew(lease, this.#clock.monotonic())),
    );
  }

  async revokeLease(lease: LeaseId, call: Call): Promise<void> {
    await this.#certainly(this.#write('revoke a lease', call, () => this.#endLease(Number(lease))));
    this.#changed.notify();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await Promise.all(this.#background);
    this.#database.close();
  }

  #range(request: RangeRequest): RangeResult {
    const now = this.#records.state().revision;
    const { revision = now, limit, keysOnly = false } = request;
    if (revision > now) {
      throw new CiError('invalid', `Cannot read at a revision that is yet to come: ${revision}, now ${now}`);
    }
    this.#refuseCompacted('read at', revision);
    const found = revision === now ? this.#present(request, keysOnly) : this.#past(request, revision, keysOnly);
    return { revision, records: found.slice(0, limit), more: found.length > limit };
  }

  /** One record more than wanted, if there is one: it tells that there are more. */
  #present(request: RangeRequest, keysOnly: boolean): StoreRecord[] {
    const range = requestedRange(request);
    if (range) return this.#records.list(range, request.limit + 1, keysOnly);
    return withoutValue(this.#records.get((request as { key: string }).key), keysOnly);
  }

  #past(request: RangeRequest, revision: number, keysOnly: boolean): StoreRecord[] {
    const range = requestedRange(request);
    if (range) return this.#records.listAt(range, revision, request.limit + 1, keysOnly);
    return withoutValue(this.#records.getAt((request as { key: string }).key, revision), keysOnly);
  }

  #commit({ when, then, otherwise = [] }: Transaction): CommitResult {
    if (!when.every(compare => this.#records.holds(compare))) {
      const found = otherwise.map(key => this.#records.get(key)).filter(record => record !== undefined);
      const records = new Map(found.map(record => [record.key, record]));
      return { kind: 'refused', revision: this.#records.state().revision, records };
    }
    for (const operation of then) {
      if ('put' in operation && operation.lease !== undefined) this.#requireLease(operation.lease);
    }
    const revision = this.#records.apply(then);
    this.#trim(revision);
    return { kind: 'committed', revision };
  }

  #requireLease(lease: LeaseId): void {
    if (this.#leases.isAlive(lease, this.#clock.monotonic())) return;
    throw new CiError('conflict', `Cannot commit as the lease does not exist: ${lease}`);
  }

  /** In steps of a tenth, so that most commits have nothing to drop. */
  #trim(revision: number): void {
    const { compacted } = this.#records.state();
    if (revision - compacted > this.#historyLength * 1.1) this.#records.compact(revision - this.#historyLength);
  }

  #endLease(lease: number): void {
    this.#records.apply(this.#records.keysUnder(lease).map(key => ({ delete: key })));
    this.#leases.remove(lease);
  }

  #refuseCompacted(what: string, revision: number): void {
    const { compacted } = this.#records.state();
    if (revision >= compacted) return;
    throw new CiError('gone', `Cannot ${what} revision ${revision} as history before ${compacted} has been dropped`);
  }

  async #write<T>(what: string, call: Call, work: () => T): Promise<T> {
    const result = await this.#database.write(what, call, work);
    this.#changed.notify();
    return result;
  }

  /** For calls that may simply be made again: not knowing is failing. */
  async #certainly<T>(result: Promise<T>): Promise<T> {
    try {
      return await result;
    } catch (error) {
      throw error instanceof CommitUnclear ? unclear(error) : error;
    }
  }

  /** Ends leases whose time is up: at most half a second late. */
  async #sweep(signal: AbortSignal): Promise<void> {
    const call = { signal, timeoutMs: BACKGROUND_TIMEOUT_MS };
    while (!signal.aborted) {
      // Failing only delays it to the next round; whoever uses the store meets the same failure and tells of it.
      await this.#sweepOnce(call).catch(() => undefined);
      await this.#clock.sleep(SWEEP_MS, signal).catch(() => undefined);
    }
  }

  async #sweepOnce(call: Call): Promise<void> {
    const now = this.#clock.monotonic();
    const due = await this.#database.read('look for leases to end', call, () => this.#leases.expired(now));
    if (due.length === 0) return;
    // Asked again inside the transaction: its holder may have renewed it meanwhile.
    await this.#write('end a lease', call, () => {
      for (const lease of this.#leases.expired(now)) this.#endLease(lease);
    });
  }

  /** Tells watchers of what other processes have written, as long as there are watchers. */
  async #poll(signal: AbortSignal): Promise<void> {
    if (this.#database.file === ':memory:') return;
    let seen = -1;
    for (let pause = POLL_LATE_MS; !signal.aborted; pause = Math.min(pause + 1, POLL_LATE_MS)) {
      if (this.#watchers === 0) await this.#watched.wait(signal);
      const version = this.#tryDataVersion() ?? seen;
      if (version !== seen) {
        seen = version;
        pause = POLL_SOON_MS;
        this.#changed.notify();
      }
      await this.#clock.sleep(pause, signal).catch(() => undefined);
    }
  }

  #tryDataVersion(): number | undefined {
    try {
      return this.#database.dataVersion();
    } catch {
      return undefined;
    }
  }

  #addWatcher(): void {
    this.#watchers++;
    this.#watched.notify();
  }
}

function withoutValue(record: StoreRecord | undefined, keysOnly: boolean): StoreRecord[] {
  if (record === undefined) return [];
  return [keysOnly ? { ...record, value: '' } : record];
}

function unclear(error: CommitUnclear): CiError {
  return new CiError('ambiguous', `${error.message}, or did: its disk failed at the last step`, { cause: error.cause });
}
