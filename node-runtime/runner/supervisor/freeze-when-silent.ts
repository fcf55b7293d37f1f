import { type Clock, neverAborted } from '../../system/clock.ts';

/** What can be stopped where it stands. */
export interface Freezable {
  /** By `Clock.monotonic`; undefined while it is not frozen. */
  readonly frozenSince: number | undefined;
  /** Whether the supervisor has lately heard of a renewal of the lease that its claim stands under. */
  readonly isLeaseAlive: boolean;
  freeze(): Promise<void>;
  kill(): Promise<void>;
}

export interface FreezeRules {
  /** Without a renewal for this long, everything is frozen. */
  readonly freezeAfterMs: number;
  /** What has been frozen for this long is killed. */
  readonly killAfterFrozenMs: number;
}

/** Ten seconds before the store may end a lease of 30 s. */
export const FREEZE_RULES: FreezeRules = { freezeAfterMs: 20_000, killAfterFrozenMs: 600_000 };
/** The share of the freezing time that may pass unnoticed, and its bounds in milliseconds. */
const LOOK_SHARE = 0.025;
const LOOK_MS = [25, 500] as const;
/** A pause that was so many times longer than asked for was not the timer's own doing. */
const LATE = 3;
/** Who is late more often than this was not stopped but is slow, and must not stop looking. */
const MOST_LATE = 3;

/**
 * Freezes what runs when the last renewal is too old, and kills what has been frozen for too long; for as long as the process
 * lives. One that was itself stopped for a while (and its node was not) has renewals waiting to be read: it waits once more
 * before it believes that there were none, as nobody would thaw what it freezes then; and again if it was stopped again meanwhile.
 */
export async function freezeWhenSilent(
  clock: Clock,
  sandboxes: () => Iterable<Freezable>,
  rules: FreezeRules,
): Promise<never> {
  const pause = Math.min(Math.max(rules.freezeAfterMs * LOOK_SHARE, LOOK_MS[0]), LOOK_MS[1]);
  for (let late = 0; ; ) {
    const before = clock.monotonic();
    await clock.sleep(pause, neverAborted);
    const isLate = clock.monotonic() - before > pause * LATE;
    late = isLate ? late + 1 : 0;
    if (late > 0 && late <= MOST_LATE) continue;
    for (const sandbox of sandboxes()) look(clock, sandbox, rules);
  }
}

function look(clock: Clock, sandbox: Freezable, { killAfterFrozenMs }: FreezeRules): void {
  const since = sandbox.frozenSince;
  const isOver = since !== undefined && clock.monotonic() - since > killAfterFrozenMs;
  // What cannot be done now is tried again at the next look.
  if (isOver) sandbox.kill().catch(() => undefined);
  else if (!sandbox.isLeaseAlive) sandbox.freeze().catch(() => undefined);
}
