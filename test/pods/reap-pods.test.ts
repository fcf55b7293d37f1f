import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { Session } from '../../node-runtime/cluster/session.ts';
import { KubernetesApi } from '../../node-runtime/kubernetes/kubernetes-api.ts';
import { reapPods } from '../../node-runtime/pods/reap-pods.ts';
import { clusterLabel } from '../../node-runtime/pods/task-pod.ts';
import { TaskPods } from '../../node-runtime/pods/task-pods.ts';
import { neverAborted as signal } from '../../node-runtime/system/clock.ts';
import { KubernetesServer } from '../support/kubernetes-server.ts';
import { type Role, shippedRole } from '../support/rbac.ts';
import { testCluster } from '../support/test-cluster.ts';
import { claim, claimant, eventually, submit } from '../support/test-tasks.ts';

const ROLES = [shippedRole('task-pods')];

/** The part of a node that deletes pods which are left over. */
async function reaper(cluster: Cluster, server: KubernetesServer, node: string, roles: readonly Role[] = ROLES) {
  const living = new AbortController();
  const session = await Session.open(cluster, () => undefined, signal);
  const { clock, chance } = cluster;
  const instance = `${node}-instance`;
  const api = new KubernetesApi(server.account(node, { ci: roles }), clock);
  const errors: unknown[] = [];
  const reaping = reapPods(
    {
      cluster,
      applicant: { node, instance, session: () => session },
      place: await api.identity(),
      pods: new TaskPods({ api, cluster: cluster.id, instance, clock, chance }),
      onReaped: () => undefined,
      onError: error => errors.push(error),
    },
    living.signal,
  );
  return {
    errors,
    [Symbol.asyncDispose]: async () => {
      living.abort();
      await reaping;
      await session.close(signal);
    },
  };
}

function putPod(server: KubernetesServer, cluster: Cluster, name: string, task: string, fence: number): void {
  const labels = {
    'simple-ci/cluster': clusterLabel(cluster.id),
    'simple-ci/task': task,
    'simple-ci/fence': String(fence),
  };
  server.put('pods', name, { metadata: { labels } });
}

function isGone(server: KubernetesServer, pod: string): Promise<unknown> {
  return eventually(`${pod} is gone`, () => server.get('pods', pod) === undefined || undefined);
}

test('a pod goes whose claim does not stand any more, and one stays whose claim has just its fence', async () => {
  await using server = await KubernetesServer.start();
  await using cluster = await testCluster();
  const id = await submit(cluster);
  const { fence } = await claim(cluster, id, await claimant(cluster));
  putPod(server, cluster, 'a-claimed', id, fence);
  putPod(server, cluster, 'b-earlier', id, fence - 1);
  putPod(server, cluster, 'c-unknown', await submit(cluster), 3);
  await using _ = await reaper(cluster, server, 'n1');
  await isGone(server, 'b-earlier');
  await isGone(server, 'c-unknown');
  assert.ok(server.get('pods', 'a-claimed'));
});

test('one node of a namespace does it for all, and those elsewhere for themselves', async () => {
  await using server = await KubernetesServer.start();
  await using elsewhere = await KubernetesServer.start();
  await using cluster = await testCluster();
  putPod(server, cluster, 'here', '5a', 3);
  putPod(elsewhere, cluster, 'there', '5a', 3);
  await using _first = await reaper(cluster, server, 'n1');
  await isGone(server, 'here');
  await using _second = await reaper(cluster, server, 'n2');
  await using _third = await reaper(cluster, elsewhere, 'n3');
  await isGone(elsewhere, 'there');
  const lists = server.seen.filter(({ verb }) => verb === 'list').map(({ user }) => user);
  assert.deepEqual(lists, ['n1']);
});

test('a node that may not leaves it to another', async () => {
  await using server = await KubernetesServer.start();
  await using cluster = await testCluster();
  putPod(server, cluster, 'left-over', '5a', 3);
  await using powerless = await reaper(cluster, server, 'n1', []);
  await eventually('it has been refused', () => powerless.errors.length > 0 || undefined);
  await using _ = await reaper(cluster, server, 'n2');
  await isGone(server, 'left-over');
  assert.match(String(powerless.errors[0]), /cannot list resource "pods"/);
});

test('a pod that nobody is let delete is told, and is not in the way of those behind it', async () => {
  await using server = await KubernetesServer.start();
  await using cluster = await testCluster();
  putPod(server, cluster, 'a-kept', '5a', 3);
  putPod(server, cluster, 'b-left-over', '5a', 4);
  server.keeps.add('a-kept');
  await using it = await reaper(cluster, server, 'n1');
  await isGone(server, 'b-left-over');
  assert.match(String(it.errors[0]), /"a-kept" is to be kept/);
});
