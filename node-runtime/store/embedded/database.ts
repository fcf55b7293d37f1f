import { mkdirSync, openSync, closeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { CiError } from '../../../shared/errors.ts';
import type { Clock } from '../../system/clock.ts';
import type { Call } from '../store.ts';
import { prepareFormat } from './format.ts';
import { isBusy, isDiskFull, isSqliteError, translateSqliteError } from './sqlite-errors.ts';

/** SQLite itself waits this long, in milliseconds and blocking the event loop, for another process to end its transaction. */
const BLOCK_MS = 3;
const OPEN_TIMEOUT_MS = 10_000;

/** Thrown inside when the COMMIT itself broke: whether it counts shows only once the file is read again. */
export class CommitUnclear extends Error {}

/**
 * One SQLite file and the transactions on it. Statements run on the calling thread, so a transaction is one uninterrupted
 * piece of JavaScript; only waiting for another process is asynchronous.
 */
export class Database {
  readonly file: string;
  readonly #db: DatabaseSync;
  readonly #clock: Clock;
  readonly #statements = new Map<string, StatementSync>();
  #open = true;

  private constructor(file: string, db: DatabaseSync, clock: Clock) {
    this.file = file;
    this.#db = db;
    this.#clock = clock;
  }

  static async open(file: string, clock: Clock, signal: AbortSignal): Promise<Database> {
    const { DatabaseSync } = await import('node:sqlite');
    try {
      createFile(file);
      const db = new DatabaseSync(file, { timeout: BLOCK_MS });
      const database = new Database(file, db, clock);
      try {
        await database.#configure({ signal, timeoutMs: OPEN_TIMEOUT_MS });
      } catch (error) {
        db.close();
        throw error;
      }
      return database;
    } catch (error) {
      throw translateSqliteError(error, 'open the store', file);
    }
  }

  /** What `work` reads is all of one moment. */
  read<T>(what: string, call: Call, work: () => T): Promise<T> {
    return this.#transact('BEGIN', what, call, work);
  }

  /** What `work` reads and writes happens at one moment, or not at all when it throws. */
  write<T>(what: string, call: Call, work: () => T): Promise<T> {
    return this.#transact('BEGIN IMMEDIATE', what, call, work);
  }

  /** A prepared statement, kept for the next time. */
  statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** A number that changes whenever another connection has committed. Throws when the file cannot be read just now. */
  dataVersion(): number {
    return this.statement('PRAGMA data_version').get()!.data_version as number;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#statements.clear();
    this.#db.close();
  }

  /**
   * A committed transaction is on the disk before it is acknowledged (`synchronous=FULL`): neither kill -9 nor a power cut
   * takes it back.
   */
  async #configure(call: Call): Promise<void> {
    await this.#untilFree('open the store', call, () => this.#db.exec('PRAGMA journal_mode = WAL'));
    this.#db.exec('PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864');
    await this.write('open the store', call, () => prepareFormat(this.#db, this.file));
  }

  async #transact<T>(begin: string, what: string, call: Call, work: () => T): Promise<T> {
    return this.#untilFree(what, call, () => {
      this.#db.exec(begin);
      let result: T;
      try {
        result = work();
      } catch (error) {
        this.#rollback();
        throw error;
      }
      this.#commit(what);
      return result;
    });
  }

  #commit(what: string): void {
    try {
      this.#db.exec('COMMIT');
    } catch (error) {
      this.#rollback();
      if (isBusy(error) || isDiskFull(error)) throw error;
      throw new CommitUnclear(`Could not ${what}`, { cause: translateSqliteError(error, what, this.file) });
    }
  }

  /** SQLite has rolled back by itself after some failures, a full disk among them. */
  #rollback(): void {
    if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
  }

  async #untilFree<T>(what: string, call: Call, work: () => T): Promise<T> {
    const end = this.#clock.monotonic() + call.timeoutMs;
    for (let pause = 1; ; pause = Math.min(pause * 2, 8)) {
      call.signal.throwIfAborted();
      if (!this.#open) throw new CiError('unavailable', `Cannot ${what} as the store is closed: ${this.file}`);
      try {
        return work();
      } catch (error) {
        if (!isBusy(error)) throw isSqliteError(error) ? translateSqliteError(error, what, this.file) : error;
        if (this.#clock.monotonic() + pause > end) throw stayedBusy(what, this.file, call.timeoutMs);
        await this.#clock.sleep(pause, call.signal);
      }
    }
  }
}

/** The file holds token hashes and sealed secrets: its owner's alone. SQLite gives its side files the same mode. */
function createFile(file: string): void {
  if (file === ':memory:') return;
  mkdirSync(dirname(file), { recursive: true });
  closeSync(openSync(file, 'a', 0o600));
}

function stayedBusy(what: string, file: string, timeoutMs: number): CiError {
  return new CiError('unavailable', `Cannot ${what} as other processes kept ${file} busy for ${timeoutMs} ms`);
}
