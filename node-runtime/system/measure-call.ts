import { isCiError } from '../../shared/errors.ts';
import type { Clock } from './clock.ts';

/** Told of each call to a server when it has ended: what it was, how it ended, how many seconds it took. */
export type CallObserver = (operation: string, result: string, seconds: number) => void;

/**
 * Makes a call, and tells how it went: `ok`, or what `resultOf` says of its answer, or the code of its error. One that its own
 * signal ended is told as `ended`: that says nothing of the server.
 */
export async function measureCall<T>(
  { clock, observe }: { readonly clock: Clock; readonly observe: CallObserver },
  operation: string,
  signal: AbortSignal,
  call: () => Promise<T>,
  resultOf: (answer: T) => string = () => 'ok',
): Promise<T> {
  const started = clock.monotonic();
  const tell = (result: string) => observe(operation, result, (clock.monotonic() - started) / 1000);
  try {
    const answer = await call();
    tell(resultOf(answer));
    return answer;
  } catch (error) {
    tell(signal.aborted ? 'ended' : isCiError(error) ? error.code : 'internal');
    throw error;
  }
}
