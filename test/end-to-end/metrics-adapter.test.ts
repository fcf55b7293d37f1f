import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { METRIC } from '../../node-runtime/kubernetes/external-metrics.ts';
import { type AggregatorSetting, metricRequest, replay } from '../support/aggregator.ts';
import { makeAuthority, makeCertificate } from '../support/certificates.ts';
import { etcdAndKubernetes } from '../support/etcd-and-kubernetes.ts';
import { startEtcd } from '../support/etcd-server.ts';
import { recordAt } from '../support/etcdctl.ts';
import { AUTHENTICATION_READER } from '../support/rbac.ts';
import { realCluster } from '../support/real-cluster.ts';
import { simpleCi, start } from '../support/simple-ci.ts';
import { eventually } from '../support/test-tasks.ts';

const SERVICE = 'simple-ci-metrics.ci.svc';

suite('simple-ci metrics-adapter, beside real nodes and a real etcd', { concurrency: 1 }, () => {
  const servers = etcdAndKubernetes();

  /** A process of it, with all that its pod would have. */
  async function startAdapter(cluster: string, endpoints = servers.etcd.endpoints.join(',')) {
    const { kubernetes } = servers;
    const authority = makeAuthority(kubernetes.folder, 'front-proxy-ca');
    const ca = makeAuthority(kubernetes.folder, 'metrics-ca');
    const own = makeCertificate(kubernetes.folder, 'metrics', ca, 'serverAuth', { hosts: [SERVICE] });
    const client = makeCertificate(kubernetes.folder, 'front-proxy-client', authority, 'clientAuth');
    const data = {
      'requestheader-client-ca-file': readFileSync(authority.cert, 'utf8'),
      'requestheader-allowed-names': '["front-proxy-client"]',
      'requestheader-username-headers': '["X-Remote-User"]',
    };
    kubernetes.put('configmaps', 'extension-apiserver-authentication', { data }, 'kube-system');
    const account = kubernetes.account('adapter', { 'kube-system': [AUTHENTICATION_READER] });
    const child = await start(
      ['metrics-adapter', '--json', '--cluster', cluster, '--etcd', endpoints, '--listen', '127.0.0.1:0'].concat([
        '--tls-cert',
        own.cert,
        '--tls-key',
        own.key,
        '--service-account',
        account.folder,
      ]),
      { env: account.env },
    );
    let text = '';
    child.stdout!.on('data', chunk => (text += chunk));
    child.stderr!.on('data', chunk => (text += chunk));
    const ended = once(child, 'close');
    const port = await eventually('the adapter is ready', () => {
      if (child.exitCode !== null) throw new Error(`It ended with ${child.exitCode}: ${text}`);
      const found = /"port":(\d+)/.exec(text)?.[1];
      return found === undefined ? undefined : Number(found);
    });
    const setting: AggregatorSetting = { port, ca: ca.cert, serverName: SERVICE, client };
    return {
      child,
      ended,
      ask: async (selector = 'pool=default') => {
        const { status, json } = await replay(setting, metricRequest('ci', METRIC, selector));
        return status === 200 ? (json.items as { value: string }[]).map(({ value }) => value).join() : status;
      },
      [Symbol.asyncDispose]: async () => {
        child.kill('SIGKILL');
        await ended;
      },
    };
  }

  const until = async (what: string, adapter: { ask(): Promise<string | number> }, wanted: string | number) =>
    eventually(what, async () => (await adapter.ask()) === wanted || undefined, 90_000);

  test('it tells what waits and what runs, and every node tells the same', async () => {
    await using cluster = await realCluster(servers, 'n1', 'n2');
    await using adapter = await startAdapter(cluster.id);
    await until('nothing is asked for', adapter, '0');
    for (let n = 0; n < 11; n++) await cluster.submit({ steps: [{ run: 'sleep 3600' }] });
    // Eight run on two nodes of four slots, three wait.
    await until('eleven are asked for', adapter, '11');
    for (const node of cluster.nodes) {
      const { stdout } = await cluster.cli(['demand', '--json'], { node });
      assert.deepEqual(JSON.parse(stdout).pools.default, { labels: [], demand: 11, nodes: 2, slots: 8 });
      const headers = { authorization: `Bearer ${cluster.token}` };
      const metrics = await (await fetch(`${node.address}/metrics`, { headers })).text();
      assert.match(metrics, /^simple_ci_demand\{pool="default"\} 11$/m);
    }
  });

  test('it counts on when all nodes are gone, and stops on SIGTERM', async () => {
    await using cluster = await realCluster(servers, 'n1');
    await using adapter = await startAdapter(cluster.id);
    await until('nothing is asked for', adapter, '0');
    const task = await cluster.submit({ slots: 3, steps: [{ run: 'sleep 3600' }] });
    await cluster.running(task);
    cluster.nodes[0]!.process.kill('SIGKILL');
    await eventually(
      'the adapter counts',
      async () => {
        const post = await recordAt(servers.etcd, `${cluster.id}/posts/demand`);
        return String(post?.node).startsWith('metrics-adapter') || undefined;
      },
      90_000,
    );
    await until('what ran waits, and is asked for', adapter, '3');
    adapter.child.kill('SIGTERM');
    assert.equal((await adapter.ended)[0], 0);
  });

  test('while etcd is away it answers with an error, and then again with the number', async () => {
    await using own = await startEtcd();
    await using cluster = await realCluster({ etcd: own }, 'n1');
    await using adapter = await startAdapter(cluster.id, own.endpoints.join(','));
    await cluster.submit({ slots: 4, steps: [{ run: 'sleep 3600' }] });
    await until('four are asked for', adapter, '4');
    await own.members[0]!.kill();
    assert.equal(await adapter.ask(), 503);
    await own.members[0]!.restart();
    await until('four are asked for', adapter, '4');
  });

  test('outside of Kubernetes it says so', async () => {
    const args = ['--cluster', 'a', '--etcd', 'http://127.0.0.1:1', '--tls-cert', '/none', '--tls-key', '/none'];
    const { code, stderr } = await simpleCi(['metrics-adapter', ...args]);
    assert.equal(code, 2);
    assert.match(stderr, /Cannot serve metrics outside of Kubernetes: the variable KUBERNETES_SERVICE_HOST is missing/);
  });
});
