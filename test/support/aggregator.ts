import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import type { Pair } from './certificates.ts';

/** What an API server's aggregator sends to an API that it passes requests on to, as one of 1.20 and one of 1.33 were seen to. */
export interface Replay {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

const GROUP_VERSION = '/apis/external.metrics.k8s.io/v1beta1';
const DISCOVERY =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json';

/** In the order in which they come when the API is registered and an autoscaler uses it. */
export const REPLAY = {
  availability: {
    path: GROUP_VERSION,
    headers: { 'X-Remote-User': 'system:kube-aggregator', 'X-Remote-Group': 'system:masters' },
  },
  aggregatedDiscovery: {
    path: '/apis',
    headers: { Accept: DISCOVERY, 'X-Remote-User': 'system:kube-aggregator', 'X-Remote-Group': 'system:masters' },
  },
  legacyDiscovery: {
    path: GROUP_VERSION,
    headers: { Accept: 'application/json', 'X-Remote-User': 'system:kube-aggregator' },
  },
  openapi2: { path: '/openapi/v2', headers: { 'X-Remote-User': 'system:aggregator' } },
  openapi3: { path: '/openapi/v3', headers: { 'X-Remote-User': 'system:aggregator' } },
  controllers: {
    path: `${GROUP_VERSION}?timeout=32s`,
    headers: { 'X-Remote-User': 'system:kube-controller-manager', 'X-Remote-Group': 'system:authenticated' },
  },
} as const satisfies Record<string, Replay>;

/** What the autoscaler's question becomes on its way. */
export function metricRequest(namespace: string, metric: string, labelSelector?: string): Replay {
  const query = labelSelector === undefined ? '' : `?labelSelector=${encodeURIComponent(labelSelector)}`;
  return {
    path: `${GROUP_VERSION}/namespaces/${namespace}/${metric}${query}`,
    headers: {
      Accept: 'application/vnd.kubernetes.protobuf, */*',
      'X-Remote-User': 'system:serviceaccount:kube-system:horizontal-pod-autoscaler',
      'X-Remote-Group': 'system:authenticated',
    },
  };
}

export interface AggregatorSetting {
  readonly port: number;
  /** Who has signed the certificate of the API, and for which name it must be. */
  readonly ca: string;
  readonly serverName: string;
  /** Its own certificate, if it shows one. */
  readonly client?: Pair;
}

/** Sends it over a connection of its own. Rejects when the API's certificate is not for the name that was expected. */
export function replay(
  { port, ca, serverName, client }: AggregatorSetting,
  { path, headers }: Replay,
  method = 'GET',
): Promise<{ status: number; type: string; json: Record<string, unknown> }> {
  const own = client && { cert: readFileSync(client.cert), key: readFileSync(client.key) };
  const options = {
    host: '127.0.0.1',
    port,
    path,
    method,
    headers,
    servername: serverName,
    ca: readFileSync(ca),
    ...own,
  };
  return new Promise((resolve, reject) => {
    const sent = request({ ...options, agent: false, timeout: 30_000 }, response => {
      let text = '';
      response.setEncoding('utf8').on('data', chunk => {
        text += chunk;
      });
      response.on('error', reject).on('end', () => {
        const type = response.headers['content-type'] ?? '';
        resolve({ status: response.statusCode ?? 0, type, json: type.includes('json') ? JSON.parse(text) : {} });
      });
    });
    sent.on('timeout', () => sent.destroy(new Error(`No answer to ${path}`)));
    sent.on('error', reject).end();
  });
}
