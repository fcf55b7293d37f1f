import type { NodeView } from '../../shared/api.ts';
import { MemberRecord } from '../../shared/result.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
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

/** Undefined for a record that this release cannot read: the node is left out. */
export function readMember(value: string): NodeView | undefined {
  try {
    return MemberRecord.safeParse(JSON.parse(value)).data;
  } catch {
    return undefined;
  }
}
