import { CiError, type ErrorCode } from '../../shared/errors.ts';
import type { Chance } from '../system/chance.ts';
import type { Clock } from '../system/clock.ts';
import type { Change, Store, StoreRecord } from './store.ts';

export interface FollowOptions {
  readonly prefix: string;
  readonly clock: Clock;
  readonly chance: Chance;
  /** Records read at a time. Default: 500. */
  readonly pageSize?: number;
  /** What is kept of each record: of large ones perhaps a smaller one. Default: all. */
  readonly keep?: (record: StoreRecord) => StoreRecord;
}

export type FollowEvent =
  /** Everything there is: forget what was known before. The first event, and again whenever changes may have been missed. */
  | { readonly kind: 'snapshot'; readonly revision: number; readonly records: readonly StoreRecord[] }
  | { readonly kind: 'changes'; readonly revision: number; readonly changes: readonly Change[] };

const LIST_TIMEOUT_MS = 5000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;
/** What will not pass by waiting. */
const PERMANENT: ReadonlySet<ErrorCode> = new Set([
  'unauthenticated',
  'forbidden',
  'invalid',
  'too-large',
  'newer-format',
]);

/**
 * A prefix as it is and as it changes, for as long as the signal says. Outages and lost history lead to a new snapshot once
 * the store can be read again. Throws only what waiting would not mend.
 */
export async function* follow(store: Store, options: FollowOptions, signal: AbortSignal): AsyncGenerator<FollowEvent> {
  const { clock, chance } = options;
  for (let pause = FIRST_PAUSE_MS; !signal.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      for await (const event of followOnce(store, options, signal)) {
        if (event.kind === 'changes') pause = FIRST_PAUSE_MS;
        yield event;
      }
    } catch (error) {
      if (!signal.aborted && !mayPass(error)) throw error;
    }
    await clock.sleep(pause * (0.5 + chance.random()), signal).catch(() => undefined);
  }
}

async function* followOnce(store: Store, options: FollowOptions, signal: AbortSignal): AsyncGenerator<FollowEvent> {
  const { prefix } = options;
  const snapshot = await list(store, options, signal);
  yield { kind: 'snapshot', ...snapshot };
  for await (const batch of store.watch({ prefix, from: snapshot.revision + 1 }, signal)) {
    if (batch.changes.length > 0) yield { kind: 'changes', ...batch };
  }
}

async function list(store: Store, options: FollowOptions, signal: AbortSignal) {
  const { prefix, pageSize: limit = 500, keep = record => record } = options;
  const call = { signal, timeoutMs: LIST_TIMEOUT_MS };
  let page = await store.range({ prefix, limit }, call);
  const { revision } = page;
  const records = page.records.map(keep);
  while (page.more) {
    page = await store.range({ prefix, limit, revision, after: records.at(-1)!.key }, call);
    for (const record of page.records) records.push(keep(record));
  }
  return { revision, records };
}

function mayPass(error: unknown): boolean {
  return error instanceof CiError && !PERMANENT.has(error.code);
}
