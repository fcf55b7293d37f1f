import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { after, before, suite, test } from 'node:test';
import { clusterLabel } from '../../node-runtime/pods/task-pod.ts';
import type { NodeView } from '../../shared/api.ts';
import { explainQueue } from '../../shared/explain-queue.ts';
import type { ClusterId, TaskId } from '../../shared/ids.ts';
import { whyNoCeph } from '../support/ceph-server.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { freePorts } from '../support/free-ports.ts';
import { type PodsStage, podsStage } from '../support/pods-stage.ts';
import { shippedRole } from '../support/rbac.ts';
import { eventually } from '../support/test-tasks.ts';

suite('pods of tasks that are lost, or whose nodes are', {
  concurrency: 1,
  skip: whyNoCeph(),
  timeout: 600_000,
}, () => {
  let etcd: EtcdServer;
  let stage: PodsStage;
  before(async () => {
    etcd = await startEtcd();
    stage = await podsStage(etcd);
  });
  after(async () => {
    await stage?.[Symbol.asyncDispose]();
    await etcd?.[Symbol.asyncDispose]();
  });

  const isGone = (pod: string) => stage.kubelet.events.some(event => event.kind === 'gone' && event.pod === pod);
  /** A script that waits in its first attempt, and passes in the next. */
  const FIRST_WAITS = '[ "$SIMPLE_CI_ATTEMPT" = 1 ] || exit 0; echo waits; sleep 3600';

  test('a node is killed: its pods end, and the next attempt begins when the earlier one’s is gone', async () => {
    await using cluster = await stage.cluster();
    const first = await cluster.addNode('killed-1');
    const task = await cluster.submit({ steps: [{ run: FIRST_WAITS }] });
    const pod = await cluster.podOf(task);
    first.process.kill('SIGKILL');
    const hasEnded = () =>
      stage.kubelet.events.some(it => it.kind === 'ended' && it.pod === pod && it.container === 'task');
    await eventually('what ran in its pod has ended', () => hasEnded() || undefined);
    await cluster.addNode('killed-2');
    const result = await cluster.finished(task, 120_000);
    assert.equal(result.outcome, 'passed', result.message);
    assert.deepEqual(
      result.past.map(({ end }) => end),
      ['lost'],
    );
    assert.ok(order(stage, pod, task), JSON.stringify(stage.kubelet.events));
  });

  test('a pod that hangs as its node dies is deleted before the next attempt begins', async () => {
    await using cluster = await stage.cluster();
    const first = await cluster.addNode('hangs-1');
    const task = await cluster.submit({ steps: [{ run: FIRST_WAITS }] });
    const pod = await cluster.podOf(task);
    stage.kubelet.pause(pod);
    first.process.kill('SIGKILL');
    await cluster.addNode('hangs-2');
    assert.equal((await cluster.finished(task, 120_000)).outcome, 'passed');
    assert.ok(order(stage, pod, task), JSON.stringify(stage.kubelet.events));
  });

  test('a pod is evicted: the attempt is charged to the infrastructure, and the next one passes', async () => {
    await using cluster = await stage.cluster();
    await cluster.addNode('evicted-1');
    const task = await cluster.submit({ steps: [{ run: FIRST_WAITS }] });
    await stage.kubelet.fail(await cluster.podOf(task), {
      reason: 'Evicted',
      message: 'The node was low on resource: ephemeral-storage.',
    });
    const { outcome, past } = await cluster.finished(task, 120_000);
    assert.equal(outcome, 'passed');
    assert.equal(past[0]?.end, 'infrastructure');
    assert.match(past[0]?.message ?? '', /The pod of the task was evicted: The node was low on resource/);
  });

  test('a pod that needs too much memory is a crash, and too many crashes end the task', async () => {
    await using cluster = await stage.cluster();
    await cluster.addNode('memory-1');
    const task = await cluster.submit({ attempts: { crashed: 1 }, steps: [{ run: 'echo waits; sleep 3600' }] });
    const terminated = { exitCode: 137, reason: 'OOMKilled' };
    await stage.kubelet.fail(await cluster.podOf(task), {
      containerStatuses: [{ name: 'task', state: { terminated } }],
    });
    const { outcome, past } = await cluster.finished(task, 120_000);
    assert.equal(outcome, 'crashed');
    assert.match(past[0]?.message ?? '', /needed more memory than it may have/);
  });

  test('somebody deletes the pod: the attempt is charged to the infrastructure', async () => {
    await using cluster = await stage.cluster();
    await cluster.addNode('deleted-1');
    const task = await cluster.submit({ steps: [{ run: FIRST_WAITS }] });
    stage.kubernetes.end('pods', await cluster.podOf(task), 1);
    const { outcome, past } = await cluster.finished(task, 120_000);
    assert.equal(outcome, 'passed');
    assert.deepEqual([past[0]?.end, past[0]?.message], ['infrastructure', 'The pod of the task was deleted']);
  });

  /** A node that is told to stop while it has a task of that command: the task goes back into the queue, and nothing of it is left. */
  async function drains(name: string, run: string): Promise<void> {
    await using cluster = await stage.cluster();
    const node = await cluster.addNode(name, { args: ['--drain-timeout', '0s'] });
    await cluster.add('server', '--slots', '0');
    const task = await cluster.submit({ steps: [{ run }] });
    const pod = await cluster.podOf(task);
    node.process.kill('SIGTERM');
    assert.equal(await node.ended, 0, node.output());
    const view = await cluster.view(task);
    assert.deepEqual([view.state, view.state === 'queued' && view.past.map(({ end }) => end)], ['queued', ['drained']]);
    await eventually('its pod is gone', () => isGone(pod) || undefined);
  }

  test('a node that drains hands back what runs, and its pod is gone with it', async () => {
    await drains('drains-1', FIRST_WAITS);
  });

  test('a task that holds up its own supervisor does not keep a node from draining in order', async () => {
    await drains('held-1', 'kill -STOP $PPID; echo held; sleep 3600');
  });

  test('node and pod do not reach each other: the task stands still, and another attempt takes its place', async () => {
    await using cluster = await stage.cluster();
    const [port] = await freePorts(1);
    await using line = await FaultProxy.start(`http://127.0.0.1:${port}`, { host: '127.0.0.2', port: port! });
    await cluster.addNode('cut-off-1', { address: '127.0.0.2', args: ['--pod-listen', `127.0.0.1:${port}`] });
    const ticks = 'echo begun; while :; do echo >> ticks; sleep 0.2; done';
    const task = await cluster.submit({ steps: [{ run: `[ "$SIMPLE_CI_ATTEMPT" = 1 ] || exit 0; ${ticks}` }] });
    const pod = await cluster.podOf(task);
    const ticked = async () => (await stat(join(stage.kubelet.volume(pod, 'task'), 'workspace/ticks'))).size;
    line.set({ blackhole: 'both' });
    await pause(25_000);
    const stoodAt = await ticked();
    await pause(3000);
    assert.equal(await ticked(), stoodAt, 'it stands still');
    await eventually('the attempt is given up', async () => (await cluster.view(task)).past[0], 60_000);
    line.set({});
    const { outcome, past: ends } = await cluster.finished(task, 120_000);
    assert.deepEqual([outcome, ends.map(({ end }) => end)], ['passed', ['infrastructure']], ends[0]?.message);
    assert.ok(order(stage, pod, task), JSON.stringify(stage.kubelet.events));
  });

  test('etcd is silent for 25 s: the task stands still in its pod, and goes on in the same attempt', async () => {
    await using proxy = await FaultProxy.start(etcd.endpoints[0]);
    await using cluster = await stage.cluster({ endpoints: [proxy.endpoint] });
    await cluster.addNode('silent-1');
    const script =
      'echo begun; last=$(date +%s); for i in $(seq 400); do now=$(date +%s); [ $((now - last)) -gt 2 ] && echo "stood $((now - last))" && exit 0; last=$now; sleep 0.1; done; exit 1';
    const task = await cluster.submit({ steps: [{ run: script }] });
    await cluster.podOf(task);
    proxy.set({ blackhole: 'both' });
    await new Promise(resolve => setTimeout(resolve, 25_000));
    proxy.set({});
    proxy.cut();
    const { outcome, past } = await cluster.finished(task, 120_000);
    assert.deepEqual([outcome, past], ['passed', []]);
  });

  test('pods that nobody has claimed any more are deleted, and those of other clusters are left alone', async () => {
    await using cluster = await stage.cluster();
    const put = (name: string, id: string) => {
      const labels = {
        'simple-ci/cluster': clusterLabel(id as ClusterId),
        'simple-ci/task': '5abc',
        'simple-ci/fence': '3',
      };
      stage.kubernetes.put('pods', name, { metadata: { labels } });
    };
    put('orphan', cluster.id);
    put('foreign', 'somebody/else');
    await cluster.addNode('reaps-1');
    await eventually('the orphan is gone', () => stage.kubernetes.get('pods', 'orphan') === undefined || undefined);
    assert.ok(stage.kubernetes.get('pods', 'foreign'));
  });

  test('a node without the rights says so and does not start', async () => {
    await using cluster = await stage.cluster();
    await cluster.add('server', '--slots', '0');
    await assert.rejects(
      cluster.addNode('powerless', { roles: [shippedRole('mark-pods')] }),
      /Cannot run tasks in pods of their own: Cannot GET .*status 403, pods "powerless" is forbidden: User "system:serviceaccount:ci:powerless" cannot get resource/,
    );
    const roles = [{ ...shippedRole('task-pods'), rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }] }];
    await assert.rejects(cluster.addNode('reader', { roles }), /Cannot POST .*cannot create resource "pods"/);
  });

  test('rights that are taken away later cost attempts, and are told with them', async () => {
    await using cluster = await stage.cluster();
    await cluster.addNode('stripped-1');
    stage.kubernetes.account('stripped-1', { ci: [] });
    const task = await cluster.submit({ attempts: { lost: 1 } });
    const { outcome, past } = await cluster.finished(task, 120_000);
    assert.equal(outcome, 'infrastructure-lost');
    assert.match(past[0]?.message ?? '', /status 403, .*cannot create resource "pods"/);
  });

  test('a task with an image waits, and says why, while no node runs tasks in containers', async () => {
    await using cluster = await stage.cluster();
    await cluster.add('plain', '--isolation', 'none');
    const task = await cluster.submit({ image: 'tool:1' });
    const { nodes } = JSON.parse((await cluster.cli(['nodes', '--json'])).stdout) as { nodes: NodeView[] };
    const view = await cluster.view(task);
    assert.ok(view.state === 'queued');
    assert.equal(explainQueue(task as TaskId, view.task, [], nodes).text, 'no node has the label container');
    await cluster.addNode('container-1');
    assert.equal((await cluster.finished(task)).outcome, 'passed');
  });
});

/** Whether the earlier attempt's pod was gone before the later one's was made. */
function order({ kubelet }: PodsStage, earlier: string, task: string): boolean {
  const gone = kubelet.events.findIndex(({ kind, pod }) => kind === 'gone' && pod === earlier);
  const made = kubelet.events.findIndex(
    ({ kind, pod }) => kind === 'created' && pod !== earlier && pod.startsWith(`simple-ci-${task}-`),
  );
  return gone >= 0 && gone < made;
}
