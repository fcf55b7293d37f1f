import type { Chance } from './chance.ts';
import type { Clock } from './clock.ts';

export interface RetryOptions {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly signal: AbortSignal;
  /** Whether this failure may pass by itself. Anything else is thrown at once. */
  readonly isTransient: (error: unknown) => boolean;
  /** Total time after which the last failure is thrown, in milliseconds. */
  readonly limitMs: number;
  /** The longest pause between two tries. The first is 50 ms; each is twice the last, times a random 0.5 to 1.5. */
  readonly maxPauseMs?: number;
}

/** Tries until it works, fails for good, or the time is up. For operations that are safe to repeat. */
export async function retry<T>(operation: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, chance, signal, isTransient, limitMs, maxPauseMs = 2000 } = options;
  const end = clock.monotonic() + limitMs;
  for (let pause = 50; ; pause = Math.min(pause * 2, maxPauseMs)) {
    try {
      return await operation();
    } catch (error) {
      signal.throwIfAborted();
      const wait = pause * (0.5 + chance.random());
      if (!isTransient(error) || clock.monotonic() + wait > end) throw error;
      await clock.sleep(wait, signal);
    }
  }
}
