import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { KubernetesApi } from '../../node-runtime/kubernetes/kubernetes-api.ts';
import { type PodMark, PodMarker } from '../../node-runtime/kubernetes/pod-marker.ts';
import { Wakeup } from '../../node-runtime/system/wakeup.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { KubernetesServer } from '../support/kubernetes-server.ts';
import { type Role, shippedRole } from '../support/rbac.ts';
import { eventually } from '../support/test-tasks.ts';

/** A pod whose node says what the test says, with the rights that the chart gives it. */
async function pod(roles: readonly Role[] = [shippedRole('mark-pods')], metadata: object = {}) {
  const kubernetes = await KubernetesServer.start();
  kubernetes.put('pods', 'simple-ci-1', { metadata, spec: {} });
  const account = kubernetes.account('simple-ci', { ci: roles });
  const clock = new FakeClock();
  const notices: string[] = [];
  const api = new KubernetesApi(account, clock);
  const marker = new PodMarker({ api, pod: 'simple-ci-1', clock, onNotice: text => notices.push(text) });
  const living = new AbortController();
  const changed = new Wakeup();
  let wanted: PodMark = 'idle';
  const keeping = marker.keep(() => wanted, changed, living.signal);
  return {
    kubernetes,
    account,
    clock,
    notices,
    keeping,
    become: (mark: PodMark) => {
      wanted = mark;
      changed.notify();
    },
    marked: (mark: PodMark) => eventually(`it is marked ${mark}`, () => marker.marked === mark || undefined),
    metadata: () => {
      const { labels, annotations } = kubernetes.get('pods', 'simple-ci-1')!.metadata;
      return { labels, annotations };
    },
    isDeleted: () => marker.deleted.aborted,
    patches: () => kubernetes.seen.length,
    [Symbol.asyncDispose]: async () => {
      living.abort();
      await keeping;
      await kubernetes[Symbol.asyncDispose]();
    },
  };
}

test('a pod says when it works, so that others are deleted first, and when it no longer does', async () => {
  await using it = await pod();
  await it.marked('idle');
  it.become('busy');
  await it.marked('busy');
  assert.deepEqual(it.metadata(), {
    labels: { 'simple-ci/busy': 'true' },
    annotations: {
      'controller.kubernetes.io/pod-deletion-cost': '100',
      'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
      'karpenter.sh/do-not-disrupt': 'true',
    },
  });
  it.become('idle');
  await it.clock.advance(5000);
  await it.marked('idle');
  assert.deepEqual(it.metadata(), {
    labels: { 'simple-ci/busy': 'false' },
    annotations: {
      'controller.kubernetes.io/pod-deletion-cost': '0',
      'cluster-autoscaler.kubernetes.io/safe-to-evict': 'true',
    },
  });
});

test('one patch at each change: none between tasks that follow each other', async () => {
  await using it = await pod();
  await it.marked('idle');
  it.become('busy');
  await it.marked('busy');
  for (let n = 0; n < 5; n++) {
    it.become('idle');
    await it.clock.advance(1000);
    it.become('busy');
    await it.clock.advance(1000);
  }
  await it.clock.advance(60_000);
  assert.equal(it.patches(), 2);
});

test('a retired pod goes before idle ones', async () => {
  await using it = await pod();
  it.become('retired');
  await it.marked('retired');
  assert.equal(it.metadata().annotations?.['controller.kubernetes.io/pod-deletion-cost'], '-1');
});

test('without the right it says so once, and goes on without', async () => {
  await using it = await pod([]);
  await it.keeping;
  it.become('busy');
  assert.equal(it.patches(), 1);
  assert.equal(it.notices.length, 1);
  assert.match(it.notices[0]!, /^Kubernetes is not told when this pod is busy, .*cannot patch resource "pods"/);
});

test('the right to scale is none to mark pods', async () => {
  await using it = await pod([shippedRole('scale')]);
  await it.keeping;
  assert.equal(it.notices.length, 1);
});

test('an API server that fails is asked again, and told what is true then', async () => {
  await using it = await pod();
  await it.marked('idle');
  it.kubernetes.failure = 503;
  it.become('busy');
  await eventually('it was refused', () => it.patches() > 1 || undefined);
  it.kubernetes.failure = undefined;
  await eventually('it is told', async () => {
    await it.clock.advance(1000);
    return it.metadata().labels?.['simple-ci/busy'] === 'true' || undefined;
  });
});

test('a token that Kubernetes has replaced is read anew', async () => {
  await using it = await pod();
  await it.marked('idle');
  it.kubernetes.account('simple-ci', { ci: [shippedRole('mark-pods')] });
  it.become('busy');
  await it.marked('busy');
});

test('a token that has run out is not the end of it', async () => {
  await using it = await pod();
  await it.marked('idle');
  writeFileSync(join(it.account.folder, 'token'), 'run out');
  it.become('busy');
  await eventually('it was refused', () => it.patches() > 1 || undefined);
  it.kubernetes.account('simple-ci', { ci: [shippedRole('mark-pods')] });
  await eventually('it is told', async () => {
    await it.clock.advance(1000);
    return it.metadata().labels?.['simple-ci/busy'] === 'true' || undefined;
  });
});

test('a pod that was deleted before it could say anything learns that; one that is deleted later is told by a signal', async () => {
  const deletionTimestamp = '2026-11-28T08:00:00Z';
  await using late = await pod(undefined, { deletionTimestamp });
  await late.marked('idle');
  assert.equal(late.isDeleted(), true);
  await using it = await pod();
  await it.marked('idle');
  it.kubernetes.patch('pods', 'simple-ci-1', { metadata: { deletionTimestamp } });
  it.become('busy');
  await it.marked('busy');
  assert.equal(it.isDeleted(), false);
});
