import { createClient } from '../../shared/client.ts';
import type { AskInstance } from '../cluster/membership.ts';
import { type Clock, deadline } from '../system/clock.ts';

/** A dead node need not be waited for any longer, in milliseconds. */
const LIMIT_MS = 2000;

/** Whose instance answers at an address: a node that lives under our name is a duplicate, one that does not answer has died. */
export function createAskInstance(options: {
  readonly token: () => Promise<string>;
  readonly clock: Clock;
}): AskInstance {
  return async (address, signal) => {
    using limit = deadline(options.clock, LIMIT_MS, signal);
    try {
      await using client = createClient({ urls: [address], token: await options.token() });
      return (await client.call('cluster', {}, limit.signal)).instance;
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  };
}
