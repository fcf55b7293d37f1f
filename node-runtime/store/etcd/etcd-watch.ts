import type { IWatchRequest, IWatchResponse } from 'etcd3';
import { CiError, type ErrorCode, isCiError } from '../../../shared/errors.ts';
import type { Chance } from '../../system/chance.ts';
import type { Clock } from '../../system/clock.ts';
import type { WatchBatch, WatchRequest } from '../store.ts';
import type { EtcdConnection } from './etcd-connection.ts';
import { EtcdFailure, STATUS } from './etcd-failure.ts';
import { toChange, toWatchedRange } from './etcd-messages.ts';

export interface WatchParts {
  readonly connection: Pick<EtcdConnection, 'stream' | 'closed' | 'isClosed' | 'hasAuth' | 'forgetToken'>;
  readonly clock: Clock;
  readonly chance: Chance;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;
const PERMANENT: ReadonlySet<ErrorCode> = new Set(['gone', 'unauthenticated', 'forbidden', 'invalid']);

/**
 * One watch over as many streams as it takes. Each goes on after the last *event* of the one before: the revision in a
 * reply's header is that of the whole store and says nothing about what has been sent yet. Only progress notices, which
 * etcd sends to a watch that has had everything, may be believed in that.
 *
 * etcd does not divide the events of a revision between replies unless asked to with `fragment`, which is not done here.
 */
export async function* watchEtcd(
  { connection, clock, chance }: WatchParts,
  request: WatchRequest,
  signal: AbortSignal,
): AsyncGenerator<WatchBatch> {
  let from = request.from;
  let pause = FIRST_PAUSE_MS;
  let isDenied = false;
  while (!signal.aborted && !connection.isClosed) {
    try {
      for await (const reply of openStream(connection, { ...request, from }, signal)) {
        refuseCanceled(reply, from);
        pause = FIRST_PAUSE_MS;
        isDenied = false;
        const batch = toBatch(reply, from);
        if (!batch) continue;
        from = batch.revision + 1;
        yield batch;
      }
    } catch (error) {
      if (signal.aborted || connection.isClosed) return;
      // etcd says the same of a token that it has forgotten: it is denied only when it is denied with a new one.
      const mayBeToken = error instanceof EtcdFailure && (error.isPermissionDenied || error.isTokenRefused);
      if (mayBeToken && connection.hasAuth && !isDenied) {
        isDenied = true;
        connection.forgetToken();
        continue;
      }
      throwPermanent(error);
    }
    await clock
      .sleep(pause * (0.5 + chance.random()), AbortSignal.any([signal, connection.closed]))
      .catch(() => undefined);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

function openStream(connection: WatchParts['connection'], wanted: WatchRequest, signal: AbortSignal) {
  const request: IWatchRequest = {
    create_request: { ...toWatchedRange(wanted), start_revision: wanted.from, progress_notify: true },
  };
  return connection.stream<IWatchRequest, IWatchResponse>(
    (client, options) => client.watchClient.watch(options),
    request,
    signal,
  );
}

function refuseCanceled(reply: IWatchResponse, from: number): void {
  if (!reply.canceled) return;
  if (reply.compact_revision !== '0') {
    const compacted = reply.compact_revision;
    throw new CiError('gone', `Cannot watch from revision ${from} as history before ${compacted} has been dropped`);
  }
  throw new EtcdFailure(STATUS.unavailable, reply.cancel_reason || 'the watch was cancelled', 'etcd');
}

/** Events from before the revision asked for are left out: etcd has sent such ones to watches that start ahead of it. */
function toBatch(reply: IWatchResponse, from: number): WatchBatch | undefined {
  if (reply.created) return undefined;
  const events = reply.events.filter(event => Number(event.kv.mod_revision) >= from);
  const last = events.at(-1);
  if (last) return { revision: Number(last.kv.mod_revision), changes: events.map(toChange) };
  if (reply.events.length > 0) return undefined;
  const revision = Number(reply.header.revision);
  return revision >= from ? { revision, changes: [] } : undefined;
}

function throwPermanent(error: unknown): void {
  const known = error instanceof EtcdFailure ? error.toCiError('watch') : error;
  if (!isCiError(known) || PERMANENT.has(known.code)) throw known;
}
