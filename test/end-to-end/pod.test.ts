import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { suite, test } from 'node:test';
import { etcdAndKubernetes } from '../support/etcd-and-kubernetes.ts';
import { shippedRole } from '../support/rbac.ts';
import { realCluster } from '../support/real-cluster.ts';
import { simpleCi } from '../support/simple-ci.ts';
import { eventually } from '../support/test-tasks.ts';

suite('a node in a pod', { concurrency: 1 }, () => {
  const servers = etcdAndKubernetes();

  const inPod = (name: string) => {
    servers.kubernetes.put('pods', name, {});
    const { folder, env } = servers.kubernetes.account('simple-ci', { ci: [shippedRole('mark-pods')] });
    return { args: ['--pod', name, '--service-account', folder], env };
  };
  const busy = (name: string, wanted: 'true' | 'false') =>
    eventually(`pod ${name} is ${wanted === 'true' ? 'busy' : 'idle'}`, () => {
      const found = servers.kubernetes.get('pods', name)?.metadata.labels?.['simple-ci/busy'];
      return found === wanted || undefined;
    });

  test('Kubernetes hears when it becomes busy, and that it is so while it drains, ready as before', async () => {
    const { kubernetes } = servers;
    const { args, env } = inPod('ci-1');
    await using cluster = await realCluster({ etcd: servers.etcd, env });
    const node = await cluster.add('ci-1', '--isolation', 'none', ...args);
    await cluster.add('other', '--slots', '0');
    await busy('ci-1', 'false');
    const gate = `${node.data}/gate`;
    const task = await cluster.submit({ steps: [{ run: `until [ -e ${gate} ]; do sleep 0.1; done` }] });
    await busy('ci-1', 'true');
    const patches = kubernetes.seen.length;
    node.process.kill('SIGTERM');
    await eventually('the cluster knows that it drains', async () => {
      const { stdout } = await cluster.cli(['nodes', '--json'], { node: cluster.nodes[1]! });
      const nodes = JSON.parse(stdout).nodes as { node: string; draining: boolean }[];
      return nodes.find(({ node }) => node === 'ci-1')?.draining || undefined;
    });
    assert.equal((await fetch(`${node.address}/readyz`)).status, 200);
    assert.equal(kubernetes.get('pods', 'ci-1')?.metadata.labels?.['simple-ci/busy'], 'true');
    assert.equal(kubernetes.seen.length, patches);
    const { stdout } = await cluster.cli(['demand', '--json'], { node: cluster.nodes[1]! });
    assert.ok(stdout.includes('"demand":'), stdout);
    await writeFile(gate, '');
    assert.equal(await node.ended, 0);
    const result = await cluster.finished(task);
    assert.deepEqual([result.outcome, result.past], ['passed', []]);
  });

  test('a node whose pod was deleted before it could hear a signal drains all the same', async () => {
    const { args, env } = inPod('ci-4');
    servers.kubernetes.patch('pods', 'ci-4', { metadata: { deletionTimestamp: '2026-11-28T08:00:00Z' } });
    await using cluster = await realCluster({ etcd: servers.etcd, env });
    const node = await cluster.add('ci-4', ...args);
    assert.equal(await node.ended, 0);
    assert.match(node.output(), /its pod was deleted before the node was there/);
  });

  test('what still runs 15 s before it would be killed is handed back, charged to nobody', async () => {
    await using cluster = await realCluster(servers, 'server');
    const node = await cluster.add('ci-2', '--termination-grace', '17s', '--labels', 'once');
    const task = await cluster.submit({ labels: ['once'], steps: [{ run: 'sleep 3600' }] });
    await cluster.running(task);
    const told = performance.now();
    node.process.kill('SIGTERM');
    assert.equal(await node.ended, 0);
    const took = performance.now() - told;
    assert.ok(took >= 2000, `It waited only for ${took} ms`);
    // `view` asks the last node that lives.
    const view = await cluster.view(task);
    assert.deepEqual([view.state, view.state === 'queued' && view.past.map(({ end }) => end)], ['queued', ['drained']]);
  });

  test('a grace that is too short to wait hands back at once', async () => {
    await using cluster = await realCluster(servers, 'server');
    const node = await cluster.add('ci-3', '--termination-grace', '5s', '--labels', 'once');
    const task = await cluster.submit({ labels: ['once'], steps: [{ run: 'sleep 3600' }] });
    await cluster.running(task);
    node.process.kill('SIGTERM');
    assert.equal(await node.ended, 0);
    assert.equal((await cluster.view(task)).state, 'queued');
  });

  test('outside of Kubernetes there is no pod to name', async () => {
    const { code, stderr } = await simpleCi(['node', '--cluster', 'a', '--pod', 'ci-1']);
    assert.equal(code, 2);
    assert.match(stderr, /Cannot use --pod outside of Kubernetes, as the variable KUBERNETES_SERVICE_HOST is missing/);
  });
});
