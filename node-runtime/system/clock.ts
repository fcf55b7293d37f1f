/**
 * Time, passed in. Nothing in node-runtime reads a clock or sets a timer except through this, so that a whole cluster can
 * run in virtual time.
 */
export interface Clock {
  /** Milliseconds since 1970. May step either way; for display and for records only. */
  now(): number;
  /**
   * Milliseconds since some fixed moment; never steps back. The same for all processes of this machine until it restarts
   * (CLOCK_MONOTONIC), so that a node and its supervisor can compare.
   */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when that comes first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** A moment by both clocks of a machine, for all its processes to compare with. */
export interface Moment {
  readonly monotonic: number;
  readonly wall: number;
}

export function momentOf(clock: Clock): Moment {
  return { monotonic: clock.monotonic(), wall: clock.now() };
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1000 + nanoseconds / 1e6;
  },
  sleep: async (ms, signal) => {
    let rest = ms;
    for (; rest > LONGEST_TIMER_MS; rest -= LONGEST_TIMER_MS) await sleepOnce(LONGEST_TIMER_MS, signal);
    await sleepOnce(rest, signal);
  },
};

/** Some 25 days: what Node's timers can count to. They fire at once when told more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

function sleepOnce(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal.addEventListener('abort', abort, { once: true });
  });
}

/** A time limit of its own on something that also ends with `parent`: a signal that must be disposed of to stop its timer. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
}

/** Why a deadline's signal fired. */
export class DeadlineExceeded extends Error {
  override readonly name = 'DeadlineExceeded';
}

/** `using limit = deadline(clock, 3000, signal)`: `limit.signal` fires after 3 s or with `signal`, whichever comes first. */
export function deadline(clock: Clock, ms: number, parent: AbortSignal): Deadline {
  const own = new AbortController();
  const timer = new AbortController();
  clock.sleep(ms, timer.signal).then(
    () => own.abort(new DeadlineExceeded(`Gave up after ${Math.round(ms)} ms`)),
    () => undefined,
  );
  return { signal: AbortSignal.any([parent, own.signal]), [Symbol.dispose]: () => timer.abort(OVER) };
}

/** A reason of one's own spares the making of an error with its stack, for which nobody asks. */
const OVER = 'not needed any more';

export const neverAborted: AbortSignal = new AbortController().signal;
