import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import { readMember } from '../cluster/read-member.ts';
import { readAll } from '../store/read-all.ts';
import type { Handlers } from './handlers.ts';

export function nodeHandlers({ cluster }: { cluster: Cluster }): Pick<Handlers, 'listNodes'> {
  return {
    listNodes: async ({ signal }) => {
      const records = readAll(cluster.store, cluster.keys.members, { signal, timeoutMs: CALL_TIMEOUT_MS });
      return { nodes: (await Array.fromAsync(records)).flatMap(({ value }) => readMember(value) ?? []) };
    },
  };
}
