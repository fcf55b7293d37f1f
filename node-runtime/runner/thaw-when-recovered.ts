import { isCiError } from '../../shared/errors.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Session } from '../cluster/session.ts';
import { type Claim, readTaskState } from '../queue/records.ts';
import { retry } from '../system/retry.ts';
import type { Sandbox } from './sandbox.ts';

/**
 * The supervisor freezes tasks when the store is silent; they go on only when the store has said that the lock is still ours.
 * Looks after that until disposed of.
 */
export function thawWhenRecovered(cluster: Cluster, session: Session, claim: Claim, sandbox: Sandbox): Disposable {
  const ended = new AbortController();
  const signal = AbortSignal.any([ended.signal, session.lost]);
  void thawAlways(cluster, session, claim, sandbox, signal).catch(error => {
    if (!signal.aborted) throw error;
  });
  return { [Symbol.dispose]: () => ended.abort() };
}

async function thawAlways(
  cluster: Cluster,
  session: Session,
  claim: Claim,
  sandbox: Sandbox,
  signal: AbortSignal,
): Promise<void> {
  const rules = {
    ...cluster,
    signal,
    isTransient: (error: unknown) => isCiError(error),
    limitMs: Number.POSITIVE_INFINITY,
  };
  for (let recovered = session.recovered.wait(signal); ; ) {
    await recovered;
    if (signal.aborted) return;
    // Waited for from now on: the store may fall silent and recover once more while it is asked.
    recovered = session.recovered.wait(signal);
    await retry(() => thawIfHeld(cluster, claim, sandbox, signal), rules);
  }
}

async function thawIfHeld(cluster: Cluster, claim: Claim, sandbox: Sandbox, signal: AbortSignal): Promise<void> {
  const { lock } = await readTaskState(cluster, claim.id, signal);
  // The supervisor refuses when it has heard of no renewal lately: this process may have stood still since it asked for the lock.
  if (lock?.revision === claim.fence) await sandbox.thaw();
}
