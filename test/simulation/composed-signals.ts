import { getEventListeners } from 'node:events';
import { neverAborted } from '../../node-runtime/system/clock.ts';

/**
 * What dies in a simulation stops at once, in the middle of its waiting. Node.js keeps a signal that was composed of others as long as
 * somebody listens to it, here for ever, and with it the whole cluster: a megabyte for each seed. This is told of every signal that is
 * composed from now on; when it is disposed of, nobody listens to them any more.
 */
export function collectComposedSignals(): Disposable {
  const composed: WeakRef<AbortSignal>[] = [];
  const compose = AbortSignal.any;
  AbortSignal.any = signals => {
    const signal = compose.call(AbortSignal, signals);
    composed.push(new WeakRef(signal));
    return signal;
  };
  return {
    [Symbol.dispose]() {
      AbortSignal.any = compose;
      for (const reference of composed) silence(reference.deref());
      silence(neverAborted);
    },
  };
}

function silence(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  for (const listener of getEventListeners(signal, 'abort'))
    signal.removeEventListener('abort', listener as () => void);
}
