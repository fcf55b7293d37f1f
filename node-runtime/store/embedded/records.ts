import type { Change, Compare, LeaseId, Operation, StoreRecord } from '../store.ts';
import type { KeyRange } from '../key-range.ts';
import type { Database } from './database.ts';

interface VersionRow {
  readonly key: Uint8Array;
  readonly value: string | null;
  readonly created: number;
  readonly modified: number;
  readonly lease: number | null;
}

/** No key starts with this byte, as no UTF-8 does. */
const AFTER_ALL_KEYS = Buffer.from([0xff]);
const COLUMNS = 'key, value, created, modified, lease';
const KEY_COLUMNS = "key, '' AS value, created, modified, lease";

/** The records of the file and their history. Every method runs inside a transaction of its caller. */
export class Records {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The revision of the last change, and the one up to which history has been dropped. */
  state(): { readonly revision: number; readonly compacted: number } {
    const row = this.#database.statement('SELECT revision, compacted FROM state').get()!;
    return { revision: row.revision as number, compacted: row.compacted as number };
  }

  get(key: string): StoreRecord | undefined {
    const row = this.#database
      .statement(`SELECT ${COLUMNS} FROM versions WHERE key = ? AND superseded IS NULL`)
      .get(Buffer.from(key));
    return row && toRecord(row as unknown as VersionRow);
  }

  getAt(key: string, revision: number): StoreRecord | undefined {
    const exact = { start: Buffer.from(key), end: Buffer.from(`${key}\0`) };
    return this.listAt(exact, revision, 1, false)[0];
  }

  list(range: KeyRange, limit: number, keysOnly: boolean): StoreRecord[] {
    const rows = this.#database
      .statement(
        `SELECT ${keysOnly ? KEY_COLUMNS : COLUMNS} FROM versions INDEXED BY present
         WHERE superseded IS NULL AND key >= ? AND key < ? ORDER BY key LIMIT ?`,
      )
      .all(range.start, range.end ?? AFTER_ALL_KEYS, limit);
    return (rows as unknown as VersionRow[]).map(toRecord);
  }

  /** As it was: what is still there from then, merged with what has been superseded since. */
  listAt(range: KeyRange, revision: number, limit: number, keysOnly: boolean): StoreRecord[] {
    const columns = keysOnly ? KEY_COLUMNS : COLUMNS;
    const { start, end = AFTER_ALL_KEYS } = range;
    const rows = this.#database
      .statement(
        `SELECT ${columns} FROM versions INDEXED BY present
         WHERE superseded IS NULL AND key >= ? AND key < ? AND modified <= ?
         UNION ALL
         SELECT ${columns} FROM versions INDEXED BY past
         WHERE superseded > ? AND value IS NOT NULL AND key >= ? AND key < ? AND modified <= ?
         ORDER BY key LIMIT ?`,
      )
      .all(start, end, revision, revision, start, end, revision, limit);
    return (rows as unknown as VersionRow[]).map(toRecord);
  }

  holds(compare: Compare): boolean {
    const record = this.get(compare.key);
    if ('exists' in compare) return (record !== undefined) === compare.exists;
    if ('createRevision' in compare) return record?.createRevision === compare.createRevision;
    return (record?.modRevision ?? 0) === compare.modRevision;
  }

  /** Applies the operations at the next revision, if they change anything; answers the revision that is now the last. */
  apply(operations: readonly Operation[]): number {
    const { revision } = this.state();
    const next = revision + 1;
    let isChanged = false;
    for (const operation of operations) {
      isChanged = ('put' in operation ? this.#put(operation, next) : this.#delete(operation.delete, next)) || isChanged;
    }
    if (!isChanged) return revision;
    this.#database.statement('UPDATE state SET revision = ?').run(next);
    return next;
  }

  keysUnder(lease: number): string[] {
    const rows = this.#database
      .statement('SELECT key FROM versions WHERE lease = ? AND superseded IS NULL ORDER BY key')
      .all(lease);
    return rows.map(row => text(row.key as Uint8Array));
  }

  /**
   * The changes of a range from a revision on: about `limit` of them, but all of the last revision, and the revision up to
   * which they are complete.
   */
  changes(range: KeyRange, from: number, limit: number): { readonly revision: number; readonly changes: Change[] } {
    const { start, end = AFTER_ALL_KEYS } = range;
    const last = this.#database
      .statement(
        `SELECT modified FROM versions INDEXED BY by_revision
         WHERE modified >= ? AND key >= ? AND key < ? ORDER BY modified LIMIT 1 OFFSET ?`,
      )
      .get(from, start, end, limit - 1);
    const revision = (last?.modified as number | undefined) ?? this.state().revision;
    const rows = this.#database
      .statement(
        `SELECT ${COLUMNS} FROM versions INDEXED BY by_revision
         WHERE modified >= ? AND modified <= ? AND key >= ? AND key < ? ORDER BY modified, id`,
      )
      .all(from, revision, start, end);
    return { revision, changes: (rows as unknown as VersionRow[]).map(toChange) };
  }

  /** Drops what only reads at, and watches from, this revision and earlier ones would need. */
  compact(revision: number): void {
    this.#database.statement('DELETE FROM versions WHERE superseded <= ?').run(revision);
    this.#database.statement('UPDATE state SET compacted = ?').run(revision);
  }

  #put(operation: { put: string; value: string; lease?: LeaseId }, revision: number): boolean {
    const created = this.get(operation.put)?.createRevision ?? revision;
    const key = Buffer.from(operation.put);
    const lease = operation.lease === undefined ? null : Number(operation.lease);
    this.#supersede(key, revision);
    this.#database
      .statement('INSERT INTO versions (key, value, created, modified, lease) VALUES (?, ?, ?, ?, ?)')
      .run(key, operation.value, created, revision, lease);
    return true;
  }

  #delete(name: string, revision: number): boolean {
    const key = Buffer.from(name);
    if (!this.#supersede(key, revision)) return false;
    this.#database
      .statement('INSERT INTO versions (key, created, modified, superseded) VALUES (?, 0, ?, ?)')
      .run(key, revision, revision);
    return true;
  }

  #supersede(key: Buffer, revision: number): boolean {
    const result = this.#database
      .statement('UPDATE versions SET superseded = ? WHERE key = ? AND superseded IS NULL')
      .run(revision, key);
    return result.changes === 1;
  }
}

function toRecord(row: VersionRow): StoreRecord {
  return {
    key: text(row.key),
    value: row.value ?? '',
    createRevision: row.created,
    modRevision: row.modified,
    ...(row.lease !== null && { lease: String(row.lease) as LeaseId }),
  };
}

function toChange(row: VersionRow): Change {
  return row.value === null
    ? { kind: 'delete', key: text(row.key), revision: row.modified }
    : { kind: 'put', record: toRecord(row) };
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}
