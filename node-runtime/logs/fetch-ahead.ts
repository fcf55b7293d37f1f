/** How many are being fetched, or wait to be taken, besides the one that was taken last. */
const AHEAD = 2;

/**
 * Fetches one after the other, in order, and the next ones while the last is looked at. Which item comes next is asked when
 * there is room for it and no sooner: by then there may be more than there were. Who stops taking stops the fetching.
 */
export async function* fetchAhead<T, R>(
  items: Iterable<T>,
  fetch: (item: T, signal: AbortSignal) => Promise<R>,
  signal: AbortSignal,
): AsyncGenerator<R> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const coming = items[Symbol.iterator]();
  const fetched: Promise<R>[] = [];
  const fill = () => {
    while (fetched.length <= AHEAD) {
      const next = coming.next();
      if (next.done) return;
      const item = fetch(next.value, either);
      // It may fail before its turn has come, or after it was of interest.
      item.catch(() => undefined);
      fetched.push(item);
    }
  };
  try {
    for (fill(); fetched.length > 0; fill()) yield await fetched.shift()!;
  } finally {
    stop.abort();
    coming.return?.();
  }
}
