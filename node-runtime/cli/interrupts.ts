import type { Clock } from '../system/clock.ts';

/** Ctrl-C and SIGTERM. Whoever asked last gets them; when nobody has, `signal` fires, and a second one ends the process. */
export interface Interrupts {
  /** Fires at an interrupt that nobody has taken. */
  readonly signal: AbortSignal;
  /**
   * From now on until disposed of, `handler` gets them: first 1, then 2, and so on. With `hangUp` also that the terminal was
   * closed, which ends the process otherwise.
   */
  take(handler: (howMany: number) => void, options?: { readonly hangUp?: boolean }): Disposable;
}

/** Why `signal` fired. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** Ctrl-C comes from the terminal and once more from npm, which passes it on: two within this time are one. Milliseconds. */
const SAME_INTERRUPT_MS = 150;

/** Those of this process. `exit` is called when even a second one finds nobody who takes it. */
export function processInterrupts(clock: Clock, exit: () => void): Interrupts {
  const controller = new AbortController();
  const handlers: { handle: (howMany: number) => void; seen: number }[] = [];
  let last = Number.NEGATIVE_INFINITY;
  const interrupt = () => {
    const now = clock.monotonic();
    if (now - last < SAME_INTERRUPT_MS) return;
    last = now;
    const taken = handlers.at(-1);
    if (taken) taken.handle(++taken.seen);
    else if (controller.signal.aborted) exit();
    else controller.abort(new Interrupted('Interrupted'));
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  return {
    signal: controller.signal,
    take: (handle, { hangUp = false } = {}) => {
      const taken = { handle, seen: 0 };
      handlers.push(taken);
      if (hangUp) process.on('SIGHUP', interrupt);
      return {
        [Symbol.dispose]: () => {
          handlers.splice(handlers.indexOf(taken), 1);
          if (hangUp) process.off('SIGHUP', interrupt);
        },
      };
    },
  };
}
