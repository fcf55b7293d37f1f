import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { readTaskState } from '../../node-runtime/queue/records.ts';
import { neverAborted as signal } from '../../node-runtime/system/clock.ts';
import type { TaskId } from '../../shared/ids.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { type ScaledCluster, scaledCluster } from '../support/scaled-cluster.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { eventually, submit } from '../support/test-tasks.ts';

const SELF = ['--scale-deployment', 'simple-ci', '--scale-max', '3', '--scale-in-after', '2s'];

suite('a Deployment that its nodes scale themselves', { concurrency: 1 }, () => {
  let etcd: EtcdServer;
  before(async () => {
    etcd = await startEtcd();
  });
  after(() => etcd[Symbol.asyncDispose]());

  const untilReplicas = (scaled: ScaledCluster, wanted: number) =>
    eventually(`there are ${wanted} pods`, () => scaled.replicas() === wanted || undefined, 90_000);
  const finished = (scaled: ScaledCluster, ids: readonly TaskId[]) =>
    Promise.all(
      ids.map(id =>
        eventually(
          `task ${id} is finished`,
          async () => (await readTaskState(scaled.cluster, id, signal)).completed?.value,
          90_000,
        ),
      ),
    );

  test('it grows with the demand up to its most, and back to its least, and no pod that works is told to stop', async () => {
    await using scaled = await scaledCluster(etcd, { args: SELF });
    await using gates = await temporaryFolder();
    const gate = (name: string) => `until [ -e ${join(gates.path, name)} ]; do sleep 0.05; done`;
    const first = await Promise.all(
      Array.from({ length: 5 }, () => submit(scaled.cluster, { steps: [{ run: gate('first') }] })),
    );
    await untilReplicas(scaled, 3);
    const last = await submit(scaled.cluster, { steps: [{ run: gate('last') }] });
    await scaled.deployment.ready();
    await writeFile(join(gates.path, 'first'), '');
    await finished(scaled, first);
    await untilReplicas(scaled, 1);
    await eventually('two pods have gone', () => scaled.deployment.removals.length === 2 || undefined);
    await writeFile(join(gates.path, 'last'), '');
    const results = await finished(scaled, [...first, last]);
    assert.deepEqual(new Set(results.map(({ outcome }) => outcome)), new Set(['passed']));
    assert.deepEqual(
      results.flatMap(({ past }) => past),
      [],
    );
    assert.deepEqual(
      scaled.deployment.removals.map(({ wasBusy, wasKilled }) => [wasBusy, wasKilled]),
      [
        [false, false],
        [false, false],
      ],
    );
    assert.equal(scaled.deployment.most, 3);
  });

  test('while Kubernetes does not answer nothing changes; then it grows', async () => {
    await using scaled = await scaledCluster(etcd, { args: SELF });
    scaled.kubernetes.failure = 500;
    await submit(scaled.cluster, { slots: 2, steps: [{ run: 'sleep 3600' }] });
    await submit(scaled.cluster, { slots: 2, steps: [{ run: 'sleep 3600' }] });
    const asked = scaled.kubernetes.seen.length;
    await eventually('it has tried', () => scaled.kubernetes.seen.length > asked || undefined);
    assert.equal(scaled.replicas(), 1);
    scaled.kubernetes.failure = undefined;
    await untilReplicas(scaled, 2);
  });

  test('what it may do is exactly this: scale its own Deployment, and mark pods', async () => {
    await using scaled = await scaledCluster(etcd, { args: SELF });
    await submit(scaled.cluster, { slots: 2, steps: [{ run: 'sleep 3600' }] });
    await submit(scaled.cluster, { slots: 2, steps: [{ run: 'sleep 3600' }] });
    await untilReplicas(scaled, 2);
    const used = new Set(
      scaled.kubernetes.seen.map(
        ({ verb, path, status }) => `${verb} ${path.replace(/simple-ci-\d+$/, 'POD')} ${status}`,
      ),
    );
    for (const one of used)
      assert.match(
        one,
        /^(get|patch) \/apis\/apps\/v1\/namespaces\/ci\/deployments\/simple-ci\/scale (200|409)$|^patch \/api\/v1\/namespaces\/ci\/pods\/POD 200$/,
      );
  });
});
