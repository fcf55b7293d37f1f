import { CiError, isCiError } from '../../shared/errors.ts';
import type { NodeId } from '../../shared/ids.ts';
import { MemberRecord } from '../../shared/result.ts';
import { retry } from '../system/retry.ts';
import { CALL_TIMEOUT_MS, type Cluster } from './cluster.ts';
import { LEASE_TTL_SECONDS, type Session } from './session.ts';

/** Asks whoever answers at an address for the instance word of the node there; undefined if nobody answers. */
export type AskInstance = (address: string, signal: AbortSignal) => Promise<string | undefined>;

/**
 * Writes the node's member record under its session. A record of another instance is in the way when a node of the same id
 * lives (then this rejects with `conflict`) or died within the last 30 s (then this waits for its lease to end).
 */
export async function register(
  cluster: Cluster,
  session: Session,
  member: MemberRecord,
  tools: { askInstance: AskInstance; onWait: (text: string) => void },
  signal: AbortSignal,
): Promise<void> {
  const { clock } = cluster;
  const patience = clock.monotonic() + (LEASE_TTL_SECONDS + 5) * 1000;
  for (let told = false; ; told = true) {
    const other = await tryRegister(cluster, session, member, signal);
    if (!other) return;
    if ((await tools.askInstance(other.address, signal)) === other.instance || clock.monotonic() > patience) {
      throw new CiError(
        'conflict',
        `Cannot join cluster ${cluster.id} as a node of this id is alive there: ${member.node} at ${other.address}. Give this one another --node-id`,
      );
    }
    if (!told) tools.onWait(`Waiting for the lease of an earlier ${member.node} to end: up to ${LEASE_TTL_SECONDS} s`);
    await clock.sleep(500, signal);
  }
}

/** Writes the record anew, with what has changed, while the session lives. */
export async function updateMember(
  cluster: Cluster,
  session: Session,
  member: MemberRecord,
  signal: AbortSignal,
): Promise<void> {
  const put = { put: cluster.keys.member(member.node as NodeId), value: JSON.stringify(member), lease: session.lease };
  const result = await cluster.store.commit({ when: [], then: [put] }, { signal, timeoutMs: CALL_TIMEOUT_MS });
  if (result.kind === 'ambiguous') throw result.cause;
}

/** The record that is in the way, or undefined when ours is written. */
async function tryRegister(
  cluster: Cluster,
  session: Session,
  member: MemberRecord,
  signal: AbortSignal,
): Promise<MemberRecord | undefined> {
  const key = cluster.keys.member(member.node as NodeId);
  const attempt = async () => {
    const result = await cluster.store.commit(
      {
        when: [{ key, exists: false }],
        then: [{ put: key, value: JSON.stringify(member), lease: session.lease }],
        otherwise: [key],
      },
      { signal, timeoutMs: CALL_TIMEOUT_MS },
    );
    if (result.kind === 'ambiguous') throw result.cause;
    if (result.kind === 'committed') return undefined;
    const record = result.records.get(key);
    const other = record && MemberRecord.safeParse(JSON.parse(record.value)).data;
    return other?.instance === member.instance ? undefined : other;
  };
  const isTransient = (error: unknown) =>
    error instanceof CiError && (error.code === 'unavailable' || error.code === 'ambiguous');
  return retry(attempt, { clock: cluster.clock, chance: cluster.chance, signal, isTransient, limitMs: 20_000 }).catch(
    error => {
      // The store's word for a lease that has ended meanwhile: no other node is in the way, and another session will do.
      if (!isCiError(error, 'conflict')) throw error;
      throw new CiError('unavailable', `Cannot join cluster ${cluster.id} as the lease ended before that was done`, {
        cause: error,
      });
    },
  );
}
