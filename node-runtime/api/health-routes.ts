import type { ClusterView } from '../../shared/api.ts';
import type { NodeId } from '../../shared/ids.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Metrics } from '../system/metrics.ts';
import type { Handlers } from './handlers.ts';
import { describeApi } from './openapi.ts';

export interface HealthParts {
  readonly cluster: Cluster;
  readonly node: NodeId;
  readonly instance: string;
  readonly version: string;
  /** Why the node cannot take requests now; undefined when it can. */
  readonly isReady: () => string | undefined;
  readonly metrics: Metrics;
}

type HealthHandlers = Pick<Handlers, 'cluster' | 'livez' | 'readyz' | 'metrics' | 'openapi'>;

export function healthHandlers(parts: HealthParts): HealthHandlers {
  const { cluster, node, instance, version, metrics } = parts;
  let openapi: string | undefined;
  return {
    cluster: async ({ principal }): Promise<ClusterView> => ({
      cluster: cluster.id,
      epoch: cluster.epoch,
      node,
      instance,
      version,
      role: principal.role,
      principal: principal.name,
    }),

    livez: async () => text(200, 'ok\n'),

    readyz: async () => {
      // Also while it drains: Kubernetes deletes pods that are not ready before busy ones, and a log is followed to its end.
      const reason = parts.isReady();
      return reason === undefined ? text(200, 'ok\n') : text(503, `not ready: ${reason}\n`);
    },

    metrics: async () => ({
      headers: { 'content-type': metrics.registry.contentType },
      body: await metrics.registry.metrics(),
    }),

    openapi: async () => {
      openapi ??= JSON.stringify(describeApi(version));
      return { headers: { 'content-type': 'application/json' }, body: openapi };
    },
  };
}

function text(status: number, body: string) {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }, body };
}
