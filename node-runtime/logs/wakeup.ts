/** Tells any number of waiters that something has changed. They look again for themselves what it was. */
export class Wakeup {
  #next: PromiseWithResolvers<void> | undefined;

  notify(): void {
    this.#next?.resolve();
    this.#next = undefined;
  }

  /** Resolves at the next `notify`; rejects with the signal's reason when that comes first. */
  wait(signal: AbortSignal): Promise<void> {
    this.#next ??= Promise.withResolvers<void>();
    return abortable(this.#next.promise, signal);
  }
}

/** What the promise comes to, or the signal's reason when that comes first. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
