import { describeError, isCiError } from '../shared/errors.ts';
import type { MemberRecord } from '../shared/result.ts';
import type { Cluster } from './cluster/cluster.ts';
import { type AskInstance, register } from './cluster/membership.ts';
import { type Renewal, Session } from './cluster/session.ts';

export interface SessionKeeping {
  readonly cluster: Cluster;
  readonly member: () => MemberRecord;
  readonly onRenewed: (renewal: Renewal) => void;
  readonly askInstance: AskInstance;
  /** A session has begun, with the member record written; or has been lost. */
  readonly onSession: (session: Session | undefined) => void;
  readonly onNotice: (text: string) => void;
}

/** Opens the node's session and registers it as a member. Rejects with `conflict` when a node of the same id lives. */
export async function openSession(keeping: SessionKeeping, signal: AbortSignal): Promise<Session> {
  const { cluster, member, onRenewed, askInstance, onNotice, onSession } = keeping;
  const session = await Session.open(cluster, onRenewed, signal);
  const registered = new AbortController();
  // Registering may wait for 30 s: the lease must not end meanwhile.
  const keep = session.keep(AbortSignal.any([signal, registered.signal]));
  try {
    await register(cluster, session, member(), { askInstance, onWait: onNotice }, signal);
  } catch (error) {
    await session.close(signal).catch(() => undefined);
    throw error;
  } finally {
    registered.abort();
    await keep;
  }
  onSession(session);
  return session;
}

/** Keeps the node a member until the signal fires: renews its session, and opens another when the store has ended one. */
export async function keepSession(keeping: SessionKeeping, first: Session, signal: AbortSignal): Promise<void> {
  const { cluster, onSession, onNotice } = keeping;
  let session: Session | undefined = first;
  while (!signal.aborted) {
    await session?.keep(signal);
    if (signal.aborted) return;
    if (session) onNotice('Lost the lease: the cluster has taken this node for dead. Joining again');
    onSession(undefined);
    session = await openSession(keeping, signal).catch(async error => {
      if (signal.aborted) return undefined;
      if (isCiError(error, 'conflict')) throw error;
      onNotice(`Cannot join again: ${describeError(error)}`);
      await cluster.clock.sleep(1000, signal).catch(() => undefined);
      return undefined;
    });
  }
}
