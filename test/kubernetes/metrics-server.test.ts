import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { METRIC } from '../../node-runtime/kubernetes/external-metrics.ts';
import { KubernetesApi } from '../../node-runtime/kubernetes/kubernetes-api.ts';
import { MetricsServer } from '../../node-runtime/kubernetes/metrics-server.ts';
import { neverAborted as signal } from '../../node-runtime/system/clock.ts';
import { createLogger } from '../../node-runtime/system/logger.ts';
import type { DemandReport } from '../../shared/api.ts';
import { CiError } from '../../shared/errors.ts';
import { type AggregatorSetting, metricRequest, REPLAY, replay } from '../support/aggregator.ts';
import { makeAuthority, makeCertificate, type Pair } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { KubernetesServer } from '../support/kubernetes-server.ts';
import { AUTHENTICATION_READER } from '../support/rbac.ts';
import { eventually } from '../support/test-tasks.ts';

const SERVICE = 'simple-ci-metrics.ci.svc';
const AUTHENTICATION = 'extension-apiserver-authentication';
const pool = { labels: [], nodes: 1, slots: 4 };

describe('the metrics server, as API servers use it', () => {
  let kubernetes: KubernetesServer;
  let server: MetricsServer;
  let frontProxy: Pair;
  let authority: Pair;
  let setting: AggregatorSetting;
  let demand: () => Promise<DemandReport>;
  const living = new AbortController();
  const clock = new FakeClock();
  const lines: string[] = [];

  const publish = (ca: Pair, names = ['front-proxy-client']) =>
    kubernetes.put(
      'configmaps',
      AUTHENTICATION,
      {
        data: {
          'client-ca-file': 'of no interest',
          'requestheader-client-ca-file': readFileSync(ca.cert, 'utf8'),
          'requestheader-allowed-names': JSON.stringify(names),
          'requestheader-username-headers': '["X-Remote-User"]',
          'requestheader-group-headers': '["X-Remote-Group"]',
          'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
        },
      },
      'kube-system',
    );
  const client = (name: string, by: Pair, commonName = name) =>
    makeCertificate(kubernetes.folder, name, by, 'clientAuth', { commonName });

  before(async () => {
    kubernetes = await KubernetesServer.start();
    authority = makeAuthority(kubernetes.folder, 'front-proxy-ca');
    frontProxy = client('front-proxy-client', authority);
    publish(authority);
    const own = makeAuthority(kubernetes.folder, 'metrics-ca');
    const certificate = makeCertificate(kubernetes.folder, 'metrics', own, 'serverAuth', { hosts: [SERVICE] });
    const reader = kubernetes.account('adapter', { 'kube-system': [AUTHENTICATION_READER] });
    const source = {
      demand: () => demand(),
      cluster: 'acme.ci',
      namespaces: ['ci'],
      now: () => Date.UTC(2026, 10, 23, 22, 0, 6, 789),
    };
    server = await MetricsServer.start(
      {
        listen: { host: '127.0.0.1', port: 0 },
        certificate,
        api: new KubernetesApi(reader, clock),
        source,
        clock,
        logger: createLogger({ level: 'debug', write: line => lines.push(line) }),
      },
      living.signal,
    );
    setting = { port: server.port, ca: own.cert, serverName: SERVICE, client: frontProxy };
    demand = async () => ({ pools: { default: { ...pool, demand: 13 }, gpu: { ...pool, demand: 0 } } });
  });
  after(async () => {
    living.abort();
    await server[Symbol.asyncDispose]();
    await kubernetes[Symbol.asyncDispose]();
  });

  test('every request of an API server that finds out about it gets what it waits for', async () => {
    for (const [name, request] of Object.entries(REPLAY)) {
      const { status, type, json } = await replay(setting, request);
      assert.equal(status, 200, name);
      // Not the type of newer discovery: that makes an API server ask in the way that is answered.
      assert.equal(type, 'application/json', name);
      assert.ok(Object.keys(json).length > 0, name);
    }
  });

  test('it says which metric there is', async () => {
    const { json } = await replay(setting, REPLAY.legacyDiscovery);
    assert.deepEqual(json, {
      kind: 'APIResourceList',
      apiVersion: 'v1',
      groupVersion: 'external.metrics.k8s.io/v1beta1',
      resources: [
        { name: METRIC, singularName: '', namespaced: true, kind: 'ExternalMetricValueList', verbs: ['get'] },
      ],
    });
  });

  test('the address that its description names leads to a description', async () => {
    const { json } = await replay(setting, REPLAY.openapi3);
    const paths = json.paths as Record<string, { serverRelativeURL: string }>;
    const path = paths['apis/external.metrics.k8s.io/v1beta1']!.serverRelativeURL;
    const answer = await replay(setting, { path, headers: REPLAY.openapi3.headers });
    assert.equal(answer.json.openapi, '3.0.0');
  });

  const answers = (setting: AggregatorSetting) =>
    eventually('it answers', async () => {
      const answer = await replay(setting, REPLAY.availability).catch(() => undefined);
      return answer?.status === 200 || undefined;
    });
  const valuesOf = async (selector?: string) => {
    const { status, json } = await replay(setting, metricRequest('ci', METRIC, selector));
    return { status, json, items: json.items as { value: string; metricLabels: { pool: string } }[] | undefined };
  };

  test('an autoscaler gets a value for each pool', async () => {
    const { status, json } = await valuesOf();
    assert.equal(status, 200);
    const item = (name: string, value: string) => ({
      metricName: METRIC,
      metricLabels: { cluster: 'acme.ci', pool: name },
      timestamp: '2026-11-23T22:00:06Z',
      value,
    });
    assert.deepEqual(json, {
      kind: 'ExternalMetricValueList',
      apiVersion: 'external.metrics.k8s.io/v1beta1',
      metadata: {},
      items: [item('default', '13'), item('gpu', '0')],
    });
  });

  test('an autoscaler gets the pools that it selects, and an explicit 0', async () => {
    assert.deepEqual(
      (await valuesOf('pool=gpu')).items?.map(({ value }) => value),
      ['0'],
    );
    assert.deepEqual(
      (await valuesOf('cluster=acme.ci,pool notin (gpu)')).items?.map(({ value }) => value),
      ['13'],
    );
    assert.deepEqual((await valuesOf('pool=unheard-of')).items, []);
  });

  test('while the demand is not known, the answer is an error, which leaves the number of pods as it is', async () => {
    const known = demand;
    demand = () => Promise.reject(new CiError('unavailable', 'Cannot tell the demand as no node counts it'));
    const { status, json, items } = await valuesOf('pool=default');
    demand = known;
    assert.deepEqual([status, json.kind, json.reason, items], [503, 'Status', 'ServiceUnavailable', undefined]);
    assert.equal(json.message, 'Cannot tell the demand as no node counts it');
    assert.equal((await valuesOf('pool=default')).status, 200);
  });

  test('what it does not have is not found, in the form of Kubernetes', async () => {
    for (const request of [
      metricRequest('ci', 'another_metric'),
      metricRequest('another-namespace', METRIC),
      { ...REPLAY.availability, path: '/api/v1/pods' },
      { ...REPLAY.availability, path: '/apis/external.metrics.k8s.io/v1beta1/namespaces/ci/__proto__' },
    ]) {
      const { status, json } = await replay(setting, request);
      assert.deepEqual([status, json.kind, json.reason, json.code], [404, 'Status', 'NotFound', 404], request.path);
    }
  });

  test('bad questions are refused: another method, a selector that is none', async () => {
    assert.equal((await replay(setting, REPLAY.availability, 'DELETE')).status, 405);
    const { status, json } = await valuesOf('pool in (');
    assert.deepEqual([status, json.reason], [400, 'BadRequest']);
  });

  describe('who may ask', () => {
    const statusFor = async (client: Pair | undefined) => {
      const { client: _, ...rest } = setting;
      return (await replay({ ...rest, ...(client && { client }) }, metricRequest('ci', METRIC))).status;
    };

    test('an API server: its authority, its name', async () => {
      assert.equal(await statusFor(frontProxy), 200);
    });

    test('nobody without a certificate, whatever the headers say', async () => {
      assert.equal(await statusFor(undefined), 401);
    });

    test('nobody with that name by another authority', async () => {
      const stranger = makeAuthority(kubernetes.folder, 'stranger-ca');
      assert.equal(await statusFor(client('stranger', stranger, 'front-proxy-client')), 401);
    });

    test('nobody by that authority under another name', async () => {
      assert.equal(await statusFor(client('kubelet', authority)), 401);
    });

    test('nobody who names no user', async () => {
      const { path } = metricRequest('ci', METRIC);
      assert.equal((await replay(setting, { path, headers: {} })).status, 401);
    });

    test('a probe of the kubelet, which has no certificate, hears that it lives, and nothing else', async () => {
      const { client: _, ...rest } = setting;
      for (const [path, expected] of [
        ['/readyz', 200],
        ['/livez', 200],
        ['/openapi/v2', 401],
        ['/apis', 401],
        ['/readyz/../apis', 401],
      ] as const)
        assert.equal((await replay(rest, { path, headers: {} })).status, expected, path);
    });
  });

  test('its certificate is for the name by which API servers call it', async () => {
    await assert.rejects(replay({ ...setting, serverName: 'another.ci.svc' }, REPLAY.availability), {
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
  });

  test('certificates are replaced while it runs: the API servers’, and its own', async () => {
    const nextAuthority = makeAuthority(kubernetes.folder, 'next-front-proxy-ca');
    const next = client('next-front-proxy', nextAuthority, 'front-proxy-client');
    const another = makeAuthority(kubernetes.folder, 'next-metrics-ca');
    const own = makeCertificate(kubernetes.folder, 'next-metrics', another, 'serverAuth', { hosts: [SERVICE] });
    assert.equal((await replay({ ...setting, client: next }, REPLAY.availability)).status, 401);
    publish(nextAuthority);
    copyFileSync(own.cert, join(kubernetes.folder, 'metrics.crt'));
    copyFileSync(own.key, join(kubernetes.folder, 'metrics.key'));
    const asked = kubernetes.seen.length;
    await clock.advance(60_000);
    const renewed = { ...setting, client: next, ca: another.cert };
    await answers(renewed);
    assert.ok(kubernetes.seen.length > asked);
    assert.equal((await replay({ ...renewed, client: frontProxy }, REPLAY.availability)).status, 401);
    publish(authority, ['front-proxy-client']);
    setting = { ...setting, ca: another.cert };
    await clock.advance(60_000);
    await answers(setting);
  });

  test('what cannot be read anew stays as it was, and is said', async () => {
    kubernetes.failure = 500;
    const said = () => lines.filter(line => line.includes('Cannot read the certificates anew')).length;
    const before = said();
    await clock.advance(60_000);
    await eventually('it is said', () => said() > before || undefined);
    kubernetes.failure = undefined;
    assert.equal((await replay(setting, REPLAY.availability)).status, 200);
  });
});

describe('a metrics server that cannot know API servers does not start', () => {
  test('as it may not ask for them', async () => {
    await using kubernetes = await KubernetesServer.start();
    const stranger = kubernetes.account('adapter', {});
    const options = { api: new KubernetesApi(stranger, new FakeClock()), listen: { host: '127.0.0.1', port: 0 } };
    await assert.rejects(MetricsServer.start(options as never, signal), {
      code: 'forbidden',
      message:
        'Cannot learn whom to trust as the right is missing: bind its service account to the role extension-apiserver-authentication-reader in kube-system',
    });
  });

  test('as its token is not one', async () => {
    await using kubernetes = await KubernetesServer.start();
    const account = kubernetes.account('adapter', { 'kube-system': [AUTHENTICATION_READER] });
    writeFileSync(join(account.folder, 'token'), 'stale');
    const options = { api: new KubernetesApi(account, new FakeClock()), listen: { host: '127.0.0.1', port: 0 } };
    await assert.rejects(MetricsServer.start(options as never, signal), { code: 'unauthenticated' });
  });
});
