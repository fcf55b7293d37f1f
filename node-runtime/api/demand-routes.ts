import type { Cluster } from '../cluster/cluster.ts';
import { readDemand } from '../queue/read-demand.ts';
import type { Handlers } from './handlers.ts';

export function demandHandlers({ cluster }: { cluster: Cluster }): Pick<Handlers, 'demand'> {
  return { demand: ({ signal }) => readDemand(cluster, signal) };
}
