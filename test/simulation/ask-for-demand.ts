import { isCiError } from '../../shared/errors.ts';
import { poolName } from '../../shared/pools.ts';
import { readDemand } from '../../node-runtime/queue/read-demand.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import type { Process } from './machine.ts';
import type { SeededChance } from './seeded-chance.ts';
import type { SimulatedNode } from './simulated-node.ts';

export interface DemandAsker {
  readonly outside: Process;
  readonly chance: SeededChance;
  readonly nodes: readonly SimulatedNode[];
  /** Undefined: it is not known. */
  readonly onTold: (demand: number | undefined, askedAt: number) => void;
  readonly onBug: (error: unknown) => void;
}

/** Somebody asks one node after the other for as long as the world lasts. What a node never answers is not waited for. */
export async function askForDemand({ outside, chance, nodes, onTold, onBug }: DemandAsker): Promise<void> {
  for (;;) {
    await outside.sleep(chance.between(2000, 15_000), neverAborted);
    const { up } = chance.pick(nodes);
    if (!up) continue;
    const askedAt = outside.monotonic();
    up.process.deliver(() => {
      readDemand(up.cluster, neverAborted).then(
        ({ pools }) => onTold(pools[poolName([])]?.demand, askedAt),
        error => (isCiError(error, 'unavailable') ? onTold(undefined, askedAt) : onBug(error)),
      );
    });
  }
}
