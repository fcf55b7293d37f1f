import type { BlockRoom } from './block-room.ts';

/** How many are being fetched, or wait to be taken, besides the one that was taken last. */
const AHEAD = 2;

/**
 * Fetches one after the other, in order, and the next ones while the last is looked at. Which item comes next is asked when
 * there is room for it and no sooner: by then there may be more than there were. Who stops taking stops the fetching.
 *
 * @param room what others take from too: one place for each that is fetched or looked at, and none kept back for what comes later
 */
export async function* fetchAhead<T, R>(
  items: Iterable<T>,
  fetch: (item: T, signal: AbortSignal) => Promise<R>,
  signal: AbortSignal,
  room?: BlockRoom,
): AsyncGenerator<R> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const coming = items[Symbol.iterator]();
  const fetched: Promise<R>[] = [];
  let isLookedAt = 0;
  const takePlace = async () => {
    if (room && fetched.length > 0) return room.tryTake();
    await room?.take(either);
    return true;
  };
  const fill = async () => {
    while (fetched.length <= AHEAD && (await takePlace())) {
      const next = coming.next();
      if (next.done) return room?.give();
      const item = fetch(next.value, either);
      // It may fail before its turn has come, or after it was of interest.
      item.catch(() => undefined);
      fetched.push(item);
    }
  };
  try {
    for (await fill(); fetched.length > 0; await fill()) {
      isLookedAt = 1;
      yield await fetched.shift()!;
      isLookedAt = 0;
      room?.give();
    }
  } finally {
    stop.abort();
    coming.return?.();
    room?.give(fetched.length + isLookedAt);
  }
}
