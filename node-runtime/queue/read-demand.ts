import { z } from 'zod';
import type { DemandReport, PoolDemand } from '../../shared/api.ts';
import { CiError, isCiError } from '../../shared/errors.ts';
import { poolLabels, poolName } from '../../shared/pools.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import { PostRecord } from '../cluster/posts.ts';
import { readMember } from '../cluster/read-member.ts';
import { DEMAND_POST } from './keep-demand.ts';

const Counter = PostRecord.extend({ counted: z.boolean().optional() });
/** Pools and members of a cluster that are read at most. */
const MOST = 10_000;

/**
 * The demand of each pool as the node that counts has written it, and who is there to meet it, all at one revision: the same from
 * any node. Rejects with `unavailable` when nobody counts, or has not yet: what is not known is never 0.
 */
export function readDemand(
  cluster: Pick<Cluster, 'id' | 'keys' | 'store'>,
  signal: AbortSignal,
): Promise<DemandReport> {
  return readAtOnce(cluster, signal).catch(cause => {
    // A node that stood still between two looks finds that etcd has dropped what it began to read.
    if (!isCiError(cause, 'gone')) throw cause;
    throw new CiError('unavailable', 'Cannot tell the demand as its revision is gone, so long did reading it take', {
      cause,
    });
  });
}

async function readAtOnce(
  { id, keys, store }: Pick<Cluster, 'id' | 'keys' | 'store'>,
  signal: AbortSignal,
): Promise<DemandReport> {
  const call = { signal, timeoutMs: CALL_TIMEOUT_MS };
  const post = await store.range({ key: keys.post(DEMAND_POST), limit: 1 }, call);
  const { revision } = post;
  if (!hasCounted(post.records[0]?.value))
    throw new CiError('unavailable', `Cannot tell the demand as no node of ${id} counts it at the moment`);
  const demands = await store.range({ prefix: keys.demands, limit: MOST, revision }, call);
  const members = await store.range({ prefix: keys.members, limit: MOST, revision }, call);
  const pools: Record<string, PoolDemand> = {};
  for (const { key, value } of demands.records) {
    const name = key.slice(keys.demands.length);
    pools[name] = { labels: poolLabels(name), demand: readNumber(key, value), nodes: 0, slots: 0 };
  }
  for (const { value } of members.records) {
    const member = readMember(value);
    const pool = member && !member.draining && member.slots > 0 ? pools[poolName(member.labels)] : undefined;
    if (!pool || !member) continue;
    pool.nodes++;
    pool.slots += member.slots;
  }
  return { pools };
}

function hasCounted(value: string | undefined): boolean {
  try {
    return value !== undefined && Counter.parse(JSON.parse(value)).counted === true;
  } catch {
    return false;
  }
}

function readNumber(key: string, value: string): number {
  if (/^\d{1,15}$/.test(value)) return Number(value);
  throw new CiError('unavailable', `Cannot tell the demand as ${key} is no number: ${value.slice(0, 40)}`);
}
