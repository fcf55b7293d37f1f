import type { DemandReport } from '../../shared/api.ts';
import { describeError, isCiError } from '../../shared/errors.ts';
import { parseLabelSelector } from './label-selector.ts';

/** What the metrics are made of. */
export interface MetricsSource {
  /** Rejects while it is not known. */
  readonly demand: () => Promise<DemandReport>;
  /** The label `cluster` of each value. */
  readonly cluster: string;
  /** Whose HorizontalPodAutoscalers may ask. */
  readonly namespaces: readonly string[];
  readonly now: () => number;
}

export interface MetricsAnswer {
  readonly status: number;
  readonly body: object;
}

export const METRIC = 'simple_ci_demand';
const GROUP = 'external.metrics.k8s.io';
const GROUP_VERSION = `${GROUP}/v1beta1`;
const VERSION = { groupVersion: GROUP_VERSION, version: 'v1beta1' };
const INFO = { title: 'Simple CI external metrics', version: 'v1beta1' };
const RESOURCE = {
  name: METRIC,
  singularName: '',
  namespaced: true,
  kind: 'ExternalMetricValueList',
  verbs: ['get'],
};

/** What never changes: what an API server asks of an API that it passes requests on to, before it does. */
const FIXED: Readonly<Record<string, object>> = {
  // Plain JSON here makes newer API servers ask in the older way, which is the next one.
  '/apis': {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: [{ name: GROUP, versions: [VERSION], preferredVersion: VERSION }],
  },
  [`/apis/${GROUP}`]: {
    kind: 'APIGroup',
    apiVersion: 'v1',
    name: GROUP,
    versions: [VERSION],
    preferredVersion: VERSION,
  },
  [`/apis/${GROUP_VERSION}`]: {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: GROUP_VERSION,
    resources: [RESOURCE],
  },
  // Without these it writes an error into its log every minute.
  '/openapi/v2': { swagger: '2.0', info: INFO, paths: {} },
  '/openapi/v3': {
    paths: { [`apis/${GROUP_VERSION}`]: { serverRelativeURL: `/openapi/v3/apis/${GROUP_VERSION}?hash=1` } },
  },
  [`/openapi/v3/apis/${GROUP_VERSION}`]: { openapi: '3.0.0', info: INFO, paths: {} },
};

/** Answers a request of an API server, whoever is behind it, for `external.metrics.k8s.io/v1beta1`. Never rejects. */
export async function answerMetrics(source: MetricsSource, method: string, url: string): Promise<MetricsAnswer> {
  const { pathname, searchParams } = new URL(url, 'https://metrics');
  if (method !== 'GET') return failure(405, 'MethodNotAllowed', 'The only method here is GET');
  const fixed = Object.hasOwn(FIXED, pathname) ? FIXED[pathname] : undefined;
  if (fixed) return { status: 200, body: fixed };
  const [, namespace, metric] = VALUE_PATH.exec(pathname) ?? [];
  if (namespace === undefined) return failure(404, 'NotFound', `There is nothing at ${pathname}`);
  if (metric !== METRIC || !source.namespaces.includes(namespace))
    return failure(404, 'NotFound', `There is no metric ${metric} for namespace ${namespace}`);
  return answerValue(source, searchParams.get('labelSelector') ?? '');
}

const VALUE_PATH = /^\/apis\/external\.metrics\.k8s\.io\/v1beta1\/namespaces\/([^/]+)\/([^/]+)$/;

/** The sum of what is listed is what counts. A list of nothing, and an error, leave the number of pods as it is. */
async function answerValue(source: MetricsSource, selector: string): Promise<MetricsAnswer> {
  try {
    const matches = parseLabelSelector(selector);
    const timestamp = new Date(source.now()).toISOString().replace(/\.\d+Z$/, 'Z');
    const { pools } = await source.demand();
    const items = Object.entries(pools)
      .map(([pool, { demand }]) => ({ demand, metricLabels: { cluster: source.cluster, pool } }))
      .filter(({ metricLabels }) => matches(metricLabels))
      .map(({ demand, metricLabels }) => ({ metricName: METRIC, metricLabels, timestamp, value: String(demand) }));
    const kind = 'ExternalMetricValueList';
    return { status: 200, body: { kind, apiVersion: GROUP_VERSION, metadata: {}, items } };
  } catch (error) {
    if (isCiError(error, 'invalid')) return failure(400, 'BadRequest', error.message);
    return failure(503, 'ServiceUnavailable', describeError(error));
  }
}

export function failure(status: number, reason: string, message: string): MetricsAnswer {
  return {
    status,
    body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code: status },
  };
}
