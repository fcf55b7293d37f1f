import type { Tape } from './tape.ts';

/** Which of these tasks have no result when all have one, or when the time is over: that they end by then is promised too. */
export async function untilCompleted(
  { tape, cluster }: { readonly tape: Pick<Tape, 'events' | 'changed'>; readonly cluster: string },
  ids: readonly string[],
  limitMs: number,
  signal: AbortSignal,
): Promise<string[]> {
  const missing = new Map(ids.map(id => [`${cluster}/completed/${id}`, id]));
  const ended = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
  for (let seen = 0; missing.size > 0 && !ended.aborted; ) {
    for (; seen < tape.events.length; seen++) missing.delete(tape.events[seen]!.key);
    if (missing.size > 0) await tape.changed(ended);
  }
  signal.throwIfAborted();
  return [...missing.values()];
}
