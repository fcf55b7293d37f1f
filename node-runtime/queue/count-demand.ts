import type { MemberRecord } from '../../shared/result.ts';
import { poolLabels, poolName } from '../../shared/pools.ts';

/** An unfinished task, as far as it matters for how many nodes there should be. */
export interface DemandTask {
  readonly labels: readonly string[];
  readonly slots: number;
  /** The node, and its instance, that holds the lock. */
  readonly holder?: { readonly node: string; readonly instance: string };
}

type Member = Pick<MemberRecord, 'node' | 'instance' | 'labels' | 'slots' | 'draining'>;

interface Pool {
  readonly name: string;
  readonly labels: ReadonlySet<string>;
  /** Of its largest node; infinite while it has none, as nobody knows. */
  readonly largest: number;
  readonly hasNodes: boolean;
}

/**
 * How many slots each pool is asked for: those that tasks take on its nodes that do not drain, and those of the tasks that wait and
 * that its nodes could run. A task on a draining node ends there and asks for nothing; one whose holder is gone waits.
 *
 * A task that waits counts for the pool with the fewest labels that could run it, of those that have nodes. Pools that have none
 * at the moment (`known` names them) count it too if they have fewer labels still: one that was scaled to nothing is woken, and
 * one that is no more takes nothing from the others.
 */
export function countDemand(
  tasks: Iterable<DemandTask>,
  members: Iterable<Member>,
  known: Iterable<string>,
): Map<string, number> {
  const nodes = new Map([...members].map(member => [member.node, member]));
  const pools = listPools(nodes.values(), known);
  const demand = new Map(pools.map(({ name }) => [name, 0]));
  const add = (pool: string, slots: number) => demand.set(pool, (demand.get(pool) ?? 0) + slots);
  for (const task of tasks) {
    const holder = task.holder && nodes.get(task.holder.node);
    if (!holder || holder.instance !== task.holder?.instance) {
      for (const pool of poolsOf(task, pools)) add(pool.name, task.slots);
    } else if (!holder.draining) add(poolName(holder.labels), task.slots);
  }
  return demand;
}

/** Those with the fewest labels first. */
function listPools(members: Iterable<Member>, known: Iterable<string>): Pool[] {
  const largest = new Map<string, number>();
  for (const { labels, slots, draining } of members) {
    const name = poolName(labels);
    if (!draining && slots > 0) largest.set(name, Math.max(slots, largest.get(name) ?? 0));
  }
  return [...new Set([...known, ...largest.keys()])]
    .map(name => ({
      name,
      labels: new Set(poolLabels(name)),
      largest: largest.get(name) ?? Number.POSITIVE_INFINITY,
      hasNodes: largest.has(name),
    }))
    .sort((a, b) => a.labels.size - b.labels.size || (a.name < b.name ? -1 : 1));
}

/** The first that has nodes, and the ones before it that have none. */
function poolsOf({ labels, slots }: DemandTask, pools: readonly Pool[]): Pool[] {
  const able = pools.filter(pool => slots <= pool.largest && labels.every(label => pool.labels.has(label)));
  const first = able.findIndex(({ hasNodes }) => hasNodes);
  const end = able[first];
  return end ? [...able.slice(0, first).filter(pool => pool.labels.size < end.labels.size), end] : able;
}
