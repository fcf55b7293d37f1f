import { CiError } from '../../shared/errors.ts';
import type { Carry } from '../support/memory-object-store.ts';
import { errorOfRefusal } from '../support/s3-refusals.ts';
import { type Answer, type Link, OVER } from './network.ts';
import type { Failed, Refusals } from './refusals.ts';

/** How long another server may take for one try before it is tried again, in milliseconds. */
const TRY_MS = 5000;

/** What a request that came to nothing fails with: nothing was done, or nobody knows. */
type Fail = (kind: Failed, attempt: string) => Error;

/** Requests to a server over a link. What is lost is tried again after a while. */
export function carryOver(link: Link, server: string): Carry {
  return carry(link, (_, attempt) => new CiError('unavailable', `Cannot ${attempt} as ${server} failed (503)`));
}

/** Requests to the object store over a link. Who asks must know by the words of a refusal that it may be asked again. */
export function carryToObjects(link: Link, refusals: Refusals): Carry {
  return carry(link, kind => {
    const refusal = refusals.next(kind);
    return refusal ? errorOfRefusal(refusal) : Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
  });
}

function carry(link: Link, failure: Fail): Carry {
  return <T>(operation: string, key: string, effect: () => T, signal: AbortSignal) =>
    new Promise<T>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const over = new AbortController();
      const attempt = `${operation} ${key}`;
      const aborted = () => end(() => reject(signal.reason));
      const end = (settle: () => void) => {
        over.abort(OVER);
        signal.removeEventListener('abort', aborted);
        settle();
      };
      signal.addEventListener('abort', aborted, { once: true });
      link.party.sleep(TRY_MS, over.signal).then(
        () => end(() => reject(new CiError('unavailable', `Cannot ${attempt} as nobody answered in time`))),
        () => undefined,
      );
      link.exchange(effect, (answer: Answer<T>) => {
        if (over.signal.aborted) return;
        if (answer.kind === 'done') end(() => resolve(answer.value));
        else if (answer.kind === 'failed') end(() => reject(answer.error));
        else end(() => reject(failure(answer.kind, attempt)));
      });
    });
}
