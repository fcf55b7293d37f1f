import { isCiError } from '../../shared/errors.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Session } from '../cluster/session.ts';
import { type Claim, readTaskState } from '../queue/records.ts';
import { retry } from '../system/retry.ts';
import type { Sandbox } from './sandbox.ts';

/** So often it is asked, in milliseconds, whether something stands still for which this node knows no reason. */
const LOOK_MS = 5000;

interface Thawing {
  readonly cluster: Cluster;
  readonly session: Session;
  readonly claim: Claim;
  readonly sandbox: Sandbox;
  readonly signal: AbortSignal;
}

/**
 * The supervisor freezes tasks when the store is silent; they go on only when the store has said that the lock is still ours.
 * Looks after that until disposed of.
 */
export function thawWhenRecovered(cluster: Cluster, session: Session, claim: Claim, sandbox: Sandbox): Disposable {
  const ended = new AbortController();
  const signal = AbortSignal.any([ended.signal, session.lost]);
  const thawing = { cluster, session, claim, sandbox, signal };
  for (const thaw of [thawAtRecovery, thawUnexpected])
    void thaw(thawing).catch(error => {
      if (!signal.aborted) throw error;
    });
  return { [Symbol.dispose]: () => ended.abort() };
}

/** At once, as soon as the store is heard of again. */
async function thawAtRecovery(thawing: Thawing): Promise<void> {
  const { cluster, session, signal } = thawing;
  const rules = { ...cluster, signal, isTransient: isTold, limitMs: Number.POSITIVE_INFINITY };
  for (let recovered = session.recovered.wait(signal); ; ) {
    await recovered;
    if (signal.aborted) return;
    // Waited for from now on: the store may fall silent and recover once more while it is asked.
    recovered = session.recovered.wait(signal);
    await retry(() => thawIfHeld(thawing), rules);
  }
}

/**
 * The supervisor goes by clocks too, and may see a silence where this process has seen none: a calendar that is set forward and back
 * between two renewals. Nobody would recover from that.
 */
async function thawUnexpected(thawing: Thawing): Promise<void> {
  const { cluster, session, sandbox, signal } = thawing;
  for (;;) {
    const from = cluster.clock.monotonic();
    await cluster.clock.sleep(LOOK_MS, signal);
    if (!session.maySafelyClaim) continue;
    try {
      if ((await sandbox.stoodStill(from)) > 0) await thawIfHeld(thawing);
    } catch (error) {
      if (!isTold(error)) throw error;
    }
  }
}

async function thawIfHeld({ cluster, claim, sandbox, signal }: Thawing): Promise<void> {
  const { lock } = await readTaskState(cluster, claim.id, signal);
  // The supervisor refuses when it has heard of no renewal lately: this process may have stood still since it asked for the lock.
  if (lock?.revision === claim.fence) await sandbox.thaw();
}

function isTold(error: unknown): boolean {
  return isCiError(error);
}
