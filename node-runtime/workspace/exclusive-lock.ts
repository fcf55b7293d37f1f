import { CiError } from '../../shared/errors.ts';
import type { Clock } from '../system/clock.ts';

const WAIT_MS = 50;

/**
 * A lock among all processes of this machine, by a file. It ends with its process however that ends: SQLite takes it with the
 * operating system's own file locks, which Node does not offer itself.
 */
export async function lockFile(path: string, clock: Clock, signal: AbortSignal, limitMs: number): Promise<Disposable> {
  const { DatabaseSync } = await import('node:sqlite');
  const end = clock.monotonic() + limitMs;
  for (;;) {
    signal.throwIfAborted();
    const database = new DatabaseSync(path);
    try {
      database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
      return { [Symbol.dispose]: () => database.close() };
    } catch (error) {
      database.close();
      if (!isBusy(error)) throw error;
      if (clock.monotonic() > end)
        throw new CiError('unavailable', `Cannot lock as another process holds it for ${limitMs} ms: ${path}`);
    }
    await clock.sleep(WAIT_MS, signal);
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (error.errcode === 5 || error.errcode === 6);
}
