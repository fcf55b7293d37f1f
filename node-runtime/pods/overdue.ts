import type { Clock } from '../system/clock.ts';

/** How much longer than an honest pod needs is waited for what is due from one that may not be, in milliseconds. */
export const OVERDUE_MS = 60_000;
/** The same where the task is ended anyway: its pod is deleted then, and a node that drains has little time. */
export const END_OVERDUE_MS = 12_000;

/** How long a process that runs takes for a second at most, in milliseconds. */
const SLICE_MS = 1000;
const LATE_MS = 1000;

/**
 * Sleeps for so long as this process runs. One that has stood still, with its machine or without it, has not read yet what has come
 * meanwhile: time that it has not had is nobody's delay.
 */
export async function sleepAwake(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  for (let rest = ms; rest > 0; ) {
    const slice = Math.min(rest, SLICE_MS);
    const began = clock.monotonic();
    await clock.sleep(slice, signal);
    if (clock.monotonic() - began < slice + LATE_MS) rest -= slice;
  }
}

/** Fires when something has not come, so long after it was due. Must be disposed of. */
export class Overdue implements Disposable {
  readonly #fired = new AbortController();
  readonly #over = new AbortController();

  constructor(clock: Clock, due: AbortSignal, patienceMs: () => number = () => OVERDUE_MS) {
    const begin = () =>
      void sleepAwake(clock, patienceMs(), this.#over.signal).then(
        () => this.#fired.abort(new Error('It is overdue')),
        () => undefined,
      );
    if (due.aborted) begin();
    else due.addEventListener('abort', begin, { once: true, signal: this.#over.signal });
  }

  get signal(): AbortSignal {
    return this.#fired.signal;
  }

  [Symbol.dispose](): void {
    this.#over.abort(new Error('It has come'));
  }
}
