/** How many are being fetched, or wait to be taken, besides the one that was taken last. */
const AHEAD = 2;

/** Fetches one after the other, in order, and the next ones while the last is looked at. Who stops taking stops the fetching. */
export async function* fetchAhead<T, R>(
  items: readonly T[],
  fetch: (item: T, signal: AbortSignal) => Promise<R>,
  signal: AbortSignal,
): AsyncGenerator<R> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const fetched: Promise<R>[] = [];
  let next = 0;
  const start = () => {
    const item = fetch(items[next++]!, either);
    // It may fail before its turn has come, or after it was of interest.
    item.catch(() => undefined);
    fetched.push(item);
  };
  try {
    for (let taken = 0; taken < items.length; taken++) {
      while (next < items.length && next <= taken + AHEAD) start();
      yield await fetched.shift()!;
    }
  } finally {
    stop.abort();
  }
}
