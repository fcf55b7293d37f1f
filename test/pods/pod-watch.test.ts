import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubernetesApi } from '../../node-runtime/kubernetes/kubernetes-api.ts';
import type { PodEvent } from '../../node-runtime/pods/pod-object.ts';
import { type FollowedPod, PodWatch } from '../../node-runtime/pods/pod-watch.ts';
import { clusterLabel } from '../../node-runtime/pods/task-pod.ts';
import { TaskPods } from '../../node-runtime/pods/task-pods.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import type { ClusterId } from '../../shared/ids.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { KubernetesServer } from '../support/kubernetes-server.ts';
import { type Role, shippedRole } from '../support/rbac.ts';
import { eventually } from '../support/test-tasks.ts';

const cluster = 'acme/ci' as ClusterId;

/** A node that watches its pods, before a stand-in for Kubernetes. */
async function stage(roles: readonly Role[] = [shippedRole('task-pods')]) {
  const server = await KubernetesServer.start();
  const clock = new FakeClock();
  const api = new KubernetesApi(server.account('node', { ci: roles }), clock);
  const pods = new TaskPods({ api, cluster, instance: 'i1', clock, chance: systemChance });
  const notices: string[] = [];
  const started = new AsyncDisposableStack();
  started.use(server);
  const parts = { pods, clock, chance: systemChance, onNotice: (text: string) => notices.push(text) };
  const watch = await PodWatch.start(parts).catch(async error => {
    await started.disposeAsync();
    throw error;
  });
  started.use(watch);
  const labels = { 'simple-ci/cluster': clusterLabel(cluster), 'simple-ci/instance': 'i1' };
  return {
    server,
    clock,
    watch,
    notices,
    put: (name: string, phase = 'Pending', instance = 'i1') =>
      server.put('pods', name, {
        metadata: { labels: { ...labels, 'simple-ci/instance': instance } },
        status: { phase },
      }),
    /** Resolves when that is what is known of the pod, however often the watch has to be begun anew. */
    isSeen: (pod: FollowedPod, phase: string | undefined) =>
      eventually(`it is seen as ${phase}`, async () => {
        await clock.advance(100);
        return phaseOf(pod) === phase || undefined;
      }),
    requests: (verb: string) => server.seen.filter(seen => seen.verb === verb).length,
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

function phaseOf({ seen }: FollowedPod): string | undefined {
  return typeof seen === 'object' ? seen.status.phase : seen;
}

test('what becomes of a pod is told without asking, and nothing of the pods of others', async () => {
  await using it = await stage();
  using pod = it.watch.follow('one');
  using foreign = it.watch.follow('foreign');
  assert.equal(pod.seen, undefined);
  it.put('foreign', 'Running', 'another');
  it.put('one');
  await it.isSeen(pod, 'Pending');
  it.server.patch('pods', 'one', { status: { phase: 'Running' } });
  await it.isSeen(pod, 'Running');
  it.server.delete('pods', 'one');
  await it.isSeen(pod, 'gone');
  assert.equal(foreign.seen, undefined);
  await it.clock.advance(200_000);
  assert.deepEqual([it.requests('list'), it.requests('watch'), it.requests('get')], [1, 1, 0]);
});

for (const how of ['in order', 'broken off'] as const) {
  test(`what changes while no watch is open is told by the next one: it was ended ${how}`, async () => {
    await using it = await stage();
    using pod = it.watch.follow('one');
    it.put('one');
    await it.isSeen(pod, 'Pending');
    it.server.endWatches(how);
    it.server.patch('pods', 'one', { status: { phase: 'Running' } });
    await it.isSeen(pod, 'Running');
    assert.equal(it.requests('list'), how === 'in order' ? 1 : 2, 'one that has ended in order goes on where it was');
  });
}

for (const saysGoneBy of ['status', 'event'] as const) {
  test(`a version that is forgotten, told by ${saysGoneBy}, has all be listed anew`, async () => {
    await using it = await stage();
    using pod = it.watch.follow('one');
    using deleted = it.watch.follow('two');
    it.put('one');
    it.put('two');
    await it.isSeen(deleted, 'Pending');
    it.server.endWatches('in order');
    it.server.patch('pods', 'one', { status: { phase: 'Running' } });
    it.server.delete('pods', 'two');
    it.server.forget(saysGoneBy);
    await it.isSeen(pod, 'Running');
    await it.isSeen(deleted, 'gone');
    assert.equal(it.requests('list'), 2);
  });
}

test('a bookmark moves on where the next watch begins, so that nothing need be listed', async () => {
  await using it = await stage();
  using pod = it.watch.follow('one');
  await eventually('it watches', () => it.server.watches === 1 || undefined);
  it.server.put('pods', 'of another', {});
  it.server.forget('event');
  it.server.bookmark();
  // What comes after it on the same connection has come after it.
  it.put('one');
  await it.isSeen(pod, 'Pending');
  it.server.endWatches('in order');
  it.server.patch('pods', 'one', { status: { phase: 'Running' } });
  await it.isSeen(pod, 'Running');
  assert.equal(it.requests('list'), 1);
});

test('a pod that has been made and is in no list that began later is gone; one that a list was too early for is not', async () => {
  await using it = await stage();
  using early = it.watch.follow('early');
  using late = it.watch.follow('late');
  late.noteMade();
  it.server.forget('event');
  it.server.endWatches('in order');
  await it.isSeen(late, 'gone');
  assert.equal(early.seen, undefined);
});

test('an API server that fails is asked again, which is said once, and so is that it is over', async () => {
  await using it = await stage();
  using pod = it.watch.follow('one');
  it.put('one');
  await it.isSeen(pod, 'Pending');
  it.server.failure = 500;
  it.server.endWatches('in order');
  await eventually('it is said', async () => {
    await it.clock.advance(1000);
    return it.notices.length === 1 || undefined;
  });
  it.server.failure = undefined;
  it.server.patch('pods', 'one', { status: { phase: 'Failed' } });
  await it.isSeen(pod, 'Failed');
  await eventually('it watches', () => it.server.watches === 1 || undefined);
  await eventually('that is said', async () => {
    await it.clock.advance(1000);
    return it.notices.length > 1 || undefined;
  });
  assert.match(it.notices[0]!, /^Kubernetes does not tell what becomes of the pods of tasks: .*status 500/);
  assert.deepEqual(it.notices.slice(1), ['Kubernetes tells again what becomes of the pods of tasks']);
});

const BAD_WATCHES: readonly { how: string; events: readonly PodEvent[]; says: RegExp }[] = [
  { how: 'ends as soon as it has begun', events: [], says: /tasks: each watch ends as soon as it has begun$/ },
  {
    how: 'is answered with an error',
    events: [{ type: 'ERROR', object: { code: 500, message: 'etcdserver: no leader' } }],
    says: /tasks: Cannot watch pods as Kubernetes has failed: etcdserver: no leader$/,
  },
  {
    how: 'is told each time that its version is forgotten',
    events: [{ type: 'ERROR', object: { code: 410, message: 'too old' } }],
    says: /tasks: each watch ends as soon as it has begun$/,
  },
];
for (const { how, events, says } of BAD_WATCHES)
  test(`a watch that ${how} is begun less and less often, until one lasts`, async () => {
    const clock = new FakeClock();
    const notices: string[] = [];
    let begun = 0;
    let isBad = true;
    const pods = {
      listOwn: async () => ({ pods: [], version: '1' }),
      async *watchOwn(_version: string, onAgreed: () => void, signal: AbortSignal) {
        begun++;
        onAgreed();
        if (isBad) yield* events;
        else await clock.sleep(20_000, signal);
      },
    };
    const parts = { pods, clock, chance: systemChance, onNotice: (text: string) => notices.push(text) };
    await using _watch = await PodWatch.start(parts);
    await clock.advance(600_000);
    assert.ok(begun >= 15 && begun <= 50, `begun ${begun} times in 10 min`);
    assert.match(notices.join('\n'), says);
    isBad = false;
    begun = 0;
    await clock.advanceUntil(() => begun === 1);
    await clock.advance(15_000);
    assert.deepEqual(notices.slice(1), ['Kubernetes tells again what becomes of the pods of tasks']);
    await clock.advance(6000);
    assert.equal(begun, 2, 'after one that has lasted the next one does not wait');
  });

test('without the right to watch it does not start', async () => {
  const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['create', 'get', 'list', 'delete'] }];
  await assert.rejects(stage([{ ...shippedRole('task-pods'), rules }]), /cannot watch resource "pods"/);
});
