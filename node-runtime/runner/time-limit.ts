import type { Clock } from '../system/clock.ts';
import type { Sandbox } from './sandbox.ts';

/** How soon the supervisor is asked again while a task that would be over its time stands still, in milliseconds. */
const ASK_AGAIN_MS = 250;

/** A limit on the time that a task has: a signal that must be disposed of. */
export interface TimeLimit extends AsyncDisposable {
  readonly over: AbortSignal;
}

/** `over` fires when `ms` have passed in which the sandbox could run. */
export function timeLimit(clock: Clock, sandbox: Pick<Sandbox, 'stoodStill'>, ms: number): TimeLimit {
  const over = new AbortController();
  const ended = new AbortController();
  const from = clock.monotonic();
  const watch = ranFor(clock, sandbox, ms, () => from, ended.signal).then(isOver => {
    if (isOver) over.abort();
  });
  return {
    over: over.signal,
    async [Symbol.asyncDispose]() {
      ended.abort();
      await watch;
    },
  };
}

/**
 * Resolves true when `ms` have passed since the moment that `since` tells, which may move on. Time in which the sandbox stood
 * still, frozen, is not counted: it could do nothing. Only the supervisor knows of that, so it is asked before a limit is
 * taken for passed; a node that was itself held up believes it and not its own clock. Resolves false at `end`.
 */
export async function ranFor(
  clock: Clock,
  sandbox: Pick<Sandbox, 'stoodStill'>,
  ms: number,
  since: () => number,
  end: AbortSignal,
): Promise<boolean> {
  while (!end.aborted) {
    const from = since();
    const rest = ms - (clock.monotonic() - from);
    if (rest > 0) {
      await slept(clock, rest, end);
      continue;
    }
    const left = rest + (await sandbox.stoodStill(from));
    if (left <= 0 && from === since()) return !end.aborted;
    await slept(clock, Math.max(left, ASK_AGAIN_MS), end);
  }
  return false;
}

function slept(clock: Clock, ms: number, end: AbortSignal): Promise<void> {
  return clock.sleep(ms, end).catch(() => undefined);
}
