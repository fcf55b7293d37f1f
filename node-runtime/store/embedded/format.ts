import type { DatabaseSync } from 'node:sqlite';
import { CiError } from '../../../shared/errors.ts';

/** "SCI1", in the place that SQLite keeps for telling whose file it is. */
const APPLICATION = 0x53434931;
const FORMAT = 1;

/**
 * `versions` has every value that a key had and still may be asked for. The present one has no `superseded`; the others tell
 * the revision that replaced them. A deletion is a version without a value, superseded by its own revision.
 * Ids rise with revisions, and within one in the order of the transaction.
 */
const SCHEMA = `
  CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL, compacted INTEGER NOT NULL) STRICT;
  INSERT INTO state VALUES (1, 1, 0);
  CREATE TABLE versions (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    value TEXT,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    lease INTEGER,
    superseded INTEGER
  ) STRICT;
  CREATE UNIQUE INDEX present ON versions (key) WHERE superseded IS NULL;
  CREATE INDEX past ON versions (superseded) WHERE superseded IS NOT NULL;
  CREATE INDEX by_revision ON versions (modified);
  CREATE INDEX leased ON versions (lease) WHERE superseded IS NULL AND lease IS NOT NULL;
  CREATE TABLE leases (id INTEGER PRIMARY KEY AUTOINCREMENT, ttl INTEGER NOT NULL, expires REAL NOT NULL, boot TEXT NOT NULL) STRICT;
  CREATE INDEX expiring ON leases (expires);
  PRAGMA application_id = ${APPLICATION};
  PRAGMA user_version = ${FORMAT};
`;

/** Fills an empty file, accepts one of this format, refuses all others. Inside a transaction. */
export function prepareFormat(db: DatabaseSync, file: string): void {
  const application = pragma(db, 'application_id');
  const tables = db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()!.n;
  if (application === 0 && tables === 0) {
    db.exec(SCHEMA);
    return;
  }
  if (application !== APPLICATION) {
    throw new CiError('invalid', `Cannot open the store as the file is a database of another program: ${file}`);
  }
  const format = pragma(db, 'user_version');
  if (format > FORMAT) {
    throw new CiError(
      'newer-format',
      `Cannot open the store as a newer release has written it, in format ${format} where this one knows ${FORMAT}: ${file}`,
    );
  }
}

function pragma(db: DatabaseSync, name: 'application_id' | 'user_version'): number {
  return db.prepare(`PRAGMA ${name}`).get()![name] as number;
}
