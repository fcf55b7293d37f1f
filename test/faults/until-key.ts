import type { Tape, TapeEvent } from './tape.ts';

/** The first event on the tape of any of these keys, however long it takes; rejects when the signal fires. */
export async function untilKey(tape: Tape, keys: readonly string[], signal: AbortSignal): Promise<TapeEvent> {
  for (let seen = 0; ; ) {
    for (; seen < tape.events.length; seen++) {
      const event = tape.events[seen]!;
      if (keys.includes(event.key)) return event;
    }
    signal.throwIfAborted();
    await tape.changed(signal);
  }
}
