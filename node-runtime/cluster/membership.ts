import { CiError, isCiError } from '../../shared/errors.ts';
import type { NodeId } from '../../shared/ids.ts';
import type { MemberRecord } from '../../shared/result.ts';
import type { StoreRecord } from '../store/store.ts';
import { retry } from '../system/retry.ts';
import { CALL_TIMEOUT_MS, type Cluster } from './cluster.ts';
import { readMember } from './read-member.ts';
import { LEASE_TTL_SECONDS, type Session } from './session.ts';

/** Asks whoever answers at an address for the instance word of the node there; undefined if nobody answers. */
export type AskInstance = (address: string, signal: AbortSignal) => Promise<string | undefined>;

/**
 * Writes the node's member record under its session. A record of another instance is in the way when a node of the same id
 * lives (then this rejects with `conflict`) or died within the last 30 s (then this waits for its lease to end). One that cannot
 * be read, such as that of a newer release, names nobody to ask: it is in the way until it is gone.
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
    const inTheWay = await tryRegister(cluster, session, member, signal);
    if (!inTheWay) return;
    const other = readMember(inTheWay.value);
    const isAlive = other !== undefined && (await tools.askInstance(other.address, signal)) === other.instance;
    if (isAlive || clock.monotonic() > patience) throw duplicate(cluster, member, other);
    if (!told) tools.onWait(`Waiting for the lease of an earlier ${member.node} to end: up to ${LEASE_TTL_SECONDS} s`);
    await clock.sleep(500, signal);
  }
}

function duplicate({ id, keys }: Cluster, { node }: MemberRecord, other: MemberRecord | undefined): CiError {
  const why = other
    ? `a node of this id is alive there: ${node} at ${other.address}`
    : `what lies there under its id cannot be read by this release: ${keys.member(node as NodeId)}`;
  return new CiError('conflict', `Cannot join cluster ${id} as ${why}. Give this one another --node-id`);
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
): Promise<StoreRecord | undefined> {
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
    return record && readMember(record.value)?.instance !== member.instance ? record : undefined;
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
