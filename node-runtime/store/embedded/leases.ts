import type { LeaseId } from '../store.ts';
import type { Database } from './database.ts';

/**
 * The leases of the file. Times are milliseconds of `Clock.monotonic`, which all processes of a machine share and which
 * begins anew when it restarts; so each row tells in which life of the machine it was written. Every method runs inside a
 * transaction of its caller.
 */
export class Leases {
  readonly #database: Database;
  readonly #boot: string;

  constructor(database: Database, boot: string) {
    this.#database = database;
    this.#boot = boot;
  }

  grant(ttlSeconds: number, now: number): LeaseId {
    const result = this.#database
      .statement('INSERT INTO leases (ttl, expires, boot) VALUES (?, ?, ?)')
      .run(ttlSeconds, now + ttlSeconds * 1000, this.#boot);
    return String(result.lastInsertRowid) as LeaseId;
  }

  /** Its seconds, counted anew from now; 0 if it has ended. */
  renew(lease: LeaseId, now: number): number {
    const ttl = this.#ttl(lease, now);
    if (ttl > 0) {
      this.#database
        .statement('UPDATE leases SET expires = ?, boot = ? WHERE id = ?')
        .run(now + ttl * 1000, this.#boot, Number(lease));
    }
    return ttl;
  }

  isAlive(lease: LeaseId, now: number): boolean {
    return this.#ttl(lease, now) > 0;
  }

  remove(lease: number): void {
    this.#database.statement('DELETE FROM leases WHERE id = ?').run(lease);
  }

  expired(now: number): number[] {
    const rows = this.#database.statement('SELECT id FROM leases WHERE expires <= ? ORDER BY expires').all(now);
    return rows.map(row => row.id as number);
  }

  /**
   * Gives the full time again to leases from before the machine restarted: how much of it passed while it was off is not
   * known. The second condition holds where the operating system does not tell its lives apart.
   */
  rearm(now: number): void {
    this.#database
      .statement('UPDATE leases SET expires = ? + ttl * 1000, boot = ? WHERE boot <> ? OR expires > ? + ttl * 1000')
      .run(now, this.#boot, this.#boot, now);
  }

  #ttl(lease: LeaseId, now: number): number {
    const row = this.#database.statement('SELECT ttl FROM leases WHERE id = ? AND expires > ?').get(Number(lease), now);
    return (row?.ttl as number | undefined) ?? 0;
  }
}
