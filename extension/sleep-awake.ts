import type { Clock } from './clock.ts';

/** Timers stand still while a laptop sleeps: how long one waits is looked at this often. Milliseconds. */
const LOOK_MS = 5000;
/** A pause that took so much longer than it should was none of a busy machine. Milliseconds. */
const ASLEEP_MS = 20_000;

/** Sleeps so long by the clock on the wall: where the machine slept meanwhile, it is over soon after. */
export async function sleepAwake(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const until = clock.now() + ms;
  for (let left = ms; left > 0; left = until - clock.now()) await clock.sleep(Math.min(LOOK_MS, left), signal);
}

/** Resolves when the machine has slept and is awake again; rejects when the signal fires. */
export async function wokenUp(clock: Clock, signal: AbortSignal): Promise<void> {
  for (let before = clock.now(); ; before = clock.now()) {
    await clock.sleep(LOOK_MS, signal);
    if (clock.now() - before > LOOK_MS + ASLEEP_MS) return;
  }
}
