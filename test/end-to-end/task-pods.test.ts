import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { type CephS3, startCeph, whyNoCeph } from '../support/ceph-server.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { Kubelet } from '../support/kubelet.ts';
import { KubernetesServer } from '../support/kubernetes-server.ts';
import { shippedRole } from '../support/rbac.ts';
import { type RealCluster, realCluster } from '../support/real-cluster.ts';
import { programUnderTest } from '../support/simple-ci.ts';
import { eventually } from '../support/test-tasks.ts';

const skip = whyNoCeph();

suite('tasks in pods of their own', { concurrency: 1, skip }, () => {
  let etcd: EtcdServer;
  let s3: CephS3;
  let kubernetes: KubernetesServer;
  let kubelet: Kubelet;
  before(async () => {
    [etcd, s3, kubernetes] = await Promise.all([startEtcd(), startCeph(), KubernetesServer.start()]);
    kubelet = new Kubelet(kubernetes);
    kubelet.images.set('simple-ci:test', { entryPoint: await programUnderTest() });
    kubelet.images.set('tool:1', { env: { TOOL: 'there', PATH: '/opt/tool/bin:/usr/bin:/bin' } });
  });
  after(async () => {
    await kubelet?.[Symbol.asyncDispose]();
    await kubernetes?.[Symbol.asyncDispose]();
    await s3?.[Symbol.asyncDispose]();
    await etcd?.[Symbol.asyncDispose]();
  });

  const roles = { ci: [shippedRole('mark-pods'), shippedRole('task-pods')] };
  const podsCluster = () =>
    realCluster({
      etcd,
      s3,
      env: { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(kubernetes.port) },
    });
  const addNode = (cluster: RealCluster, name: string, ...args: string[]) => {
    const containers = [{ name: 'node', image: 'simple-ci:test' }];
    kubernetes.put('pods', name, { spec: { containers }, status: { podIP: '127.0.0.1' } });
    const { folder } = kubernetes.account(name, roles);
    const own = ['--pod', name, '--service-account', folder, '--pod-listen', '127.0.0.1:0'];
    return cluster.add(name, '--executor', 'kubernetes', ...own, ...args);
  };

  test('a task passes in a pod, with its log byte for byte', async () => {
    await using cluster = await podsCluster();
    await addNode(cluster, 'ci-1');
    const task = await cluster.submit({ steps: [{ run: 'printf "a\\000b\\n"; echo "$PWD"; id -u' }] });
    const result = await cluster.finished(task);
    assert.equal(result.outcome, 'passed', JSON.stringify(result));
    const { bytes } = await cluster.cli(['logs', task, '--raw']);
    assert.equal(bytes.toString(), 'a\0b\n/simple-ci/task/workspace\n10001\n');
    await eventually('its pod is gone', () => kubelet.pods.length === 0 || undefined);
  });
});
