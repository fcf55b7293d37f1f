import { CiError } from '../../shared/errors.ts';
import type { Carry } from '../support/memory-object-store.ts';
import { type Link, OVER } from './network.ts';

/** How long an object store may take for one try before it is tried again, in milliseconds. */
const OBJECT_TRY_MS = 5000;

/** Requests to the object store, or another server, over a link. What is lost is tried again after a while, as a client of S3 does. */
export function carryOver(link: Link, server = 'the object store'): Carry {
  return <T>(operation: string, key: string, effect: () => T, signal: AbortSignal) =>
    new Promise<T>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const over = new AbortController();
      const fail = (why: string) =>
        end(() => reject(new CiError('unavailable', `Cannot ${operation} ${key} as ${why}`)));
      const aborted = () => end(() => reject(signal.reason));
      const end = (settle: () => void) => {
        over.abort(OVER);
        signal.removeEventListener('abort', aborted);
        settle();
      };
      signal.addEventListener('abort', aborted, { once: true });
      link.party.sleep(OBJECT_TRY_MS, over.signal).then(
        () => fail(`${server} did not answer in time`),
        () => undefined,
      );
      link.exchange(effect, answer => {
        if (over.signal.aborted) return;
        if (answer.kind === 'done') end(() => resolve(answer.value));
        else if (answer.kind === 'failed') end(() => reject(answer.error));
        else fail(`${server} failed (503)`);
      });
    });
}
