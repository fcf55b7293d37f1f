import { CiError } from '../../shared/errors.ts';
import type { AttemptLogEvent } from '../../node-runtime/logs/log-reader.ts';
import type { ReadFromNode } from '../../node-runtime/logs/logs.ts';
import type { Process } from './machine.ts';
import type { RunningParts } from './simulated-node.ts';

/** How long an event is on its way from node to node, in milliseconds. */
const WAY_MS = 1;

/** The log of an attempt that another node runs. When that dies, or says that it failed, so does this. */
export function readBetweenNodes(own: Process, find: (address: string) => RunningParts | undefined): ReadFromNode {
  return async function* (address, request, signal) {
    const unreachable = () =>
      new CiError('unavailable', `Cannot read from the node at ${address} as it does not answer`);
    const other = find(address);
    if (!other?.process.isRunning) throw unreachable();
    const arrived: (AttemptLogEvent | 'end')[] = [];
    let failure: { readonly error: unknown } | undefined;
    let more = Promise.withResolvers<void>();
    const tell = (run: () => void) =>
      own.machine.scheduler.after(WAY_MS, () =>
        own.deliver(() => {
          run();
          more.resolve();
        }),
      );
    const fail = (error: unknown) =>
      tell(() => {
        failure ??= { error };
      });
    const aborted = () => more.resolve();
    signal.addEventListener('abort', aborted, { once: true });
    void other.process.ended.then(() => fail(unreachable()));
    other.process.deliver(() => {
      send(other, request, signal, event => tell(() => arrived.push(event))).catch(fail);
    });
    try {
      for (;;) {
        signal.throwIfAborted();
        const event = arrived.shift();
        if (event === 'end') return;
        if (event) yield event;
        else if (failure) throw failure.error;
        else {
          await more.promise;
          more = Promise.withResolvers<void>();
        }
      }
    } finally {
      signal.removeEventListener('abort', aborted);
    }
  };
}

async function send(
  { logs }: RunningParts,
  request: Parameters<ReadFromNode>[1],
  signal: AbortSignal,
  put: (event: AttemptLogEvent | 'end') => void,
): Promise<void> {
  for await (const event of logs.read(request, signal)) put(event);
  put('end');
}
