import assert from 'node:assert/strict';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { newTaskId } from '../../shared/ids.ts';
import { type OwnCephS3, startOwnCeph, whyNoCeph } from '../support/ceph-server.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { etcdctl } from '../support/etcdctl.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { realCluster } from '../support/real-cluster.ts';
import { temporaryFolder } from '../support/simple-ci.ts';
import { eventually } from '../support/test-tasks.ts';

// Each test waits for things of their own that take half a minute: they do so at once.
suite('when what a cluster stands on is away', { skip: whyNoCeph(), concurrency: true }, () => {
  let etcd: EtcdServer;
  let s3: OwnCephS3;
  before(async () => {
    [etcd, s3] = await Promise.all([startEtcd(), startOwnCeph()]);
  });
  after(async () => {
    await etcd?.[Symbol.asyncDispose]();
    await s3?.[Symbol.asyncDispose]();
  });

  test('S3 is away for 20 s in the middle of a task: nothing is lost and the task passes', async () => {
    await using proxy = await FaultProxy.start(s3.endpoint);
    await using cluster = await realCluster({ etcd, s3: behind(s3, proxy) }, 'n1');
    const run = 'i=0; while [ $i -lt 250 ]; do echo $i; i=$((i+1)); sleep 0.1; done; seq 100000 > kept';
    const id = await cluster.submit({ artifacts: ['kept'], steps: [{ run }] });
    await cluster.running(id);
    proxy.set({ refuse: true });
    proxy.cut();
    await pause(20_000);
    proxy.set({});
    const result = await cluster.finished(id);
    assert.deepEqual([result.outcome, result.attempt, result.artifacts.count], ['passed', 1, 1]);
    const log = await cluster.cli(['logs', id, '--raw']);
    assert.equal(log.stdout, Array.from({ length: 250 }, (_, i) => `${i}\n`).join(''));
  });

  test('S3 hangs for 20 s: the task passes all the same', async () => {
    await using proxy = await FaultProxy.start(s3.endpoint);
    await using cluster = await realCluster({ etcd, s3: behind(s3, proxy) }, 'n1');
    const id = await cluster.submit({ steps: [{ run: 'for i in $(seq 30); do echo $i; sleep 0.2; done' }] });
    await cluster.running(id);
    proxy.set({ blackhole: 'both' });
    await pause(20_000);
    proxy.set({});
    proxy.cut();
    const result = await cluster.finished(id);
    assert.deepEqual([result.outcome, result.attempt], ['passed', 1]);
    assert.equal((await cluster.cli(['logs', id, '--raw'])).stdout.trim().split('\n').length, 30);
  });

  test('S3 is away for good: infrastructure-lost, never failed, and the message says why', async () => {
    await using proxy = await FaultProxy.start(s3.endpoint);
    await using cluster = await realCluster({ etcd, s3: behind(s3, proxy) }, 'n1');
    const task = { attempts: { lost: 1 }, steps: [{ run: 'while :; do echo on; sleep 0.2; done' }] };
    const id = await cluster.submit(task);
    await cluster.running(id);
    proxy.set({ refuse: true });
    proxy.cut();
    const result = await cluster.finished(id, 240_000);
    assert.equal(result.outcome, 'infrastructure-lost');
    assert.match(result.message, /Cannot .*(ECONNREFUSED|ECONNRESET|could not be reached|connection)/);
    assert.deepEqual(
      result.past.map(({ end }) => end),
      ['infrastructure'],
    );
    // The node goes on: with its S3 it takes the next task.
    proxy.set({});
    assert.equal((await cluster.finished(await cluster.submit({}))).outcome, 'passed');
  });

  test('etcd is stopped for 27 s: the task is frozen meanwhile, then goes on as the same attempt', async () => {
    await using etcd = await startEtcd();
    await using folder = await temporaryFolder();
    const counter = join(folder.path, 'counter');
    await using cluster = await realCluster({ etcd, s3 });
    await cluster.add('n1', '--isolation', 'none');
    const run = `until [ -e ${counter}.end ]; do echo x >> ${counter}; sleep 0.1; done; echo attempt $SIMPLE_CI_ATTEMPT`;
    const id = await cluster.submit({ steps: [{ run }] });
    await cluster.running(id);
    const size = async () => (await stat(counter).catch(() => undefined))?.size ?? 0;
    await eventually('it counts', async () => (await size()) > 0 || undefined);
    const away = performance.now();
    await etcd.members[0]!.kill();
    let last = await size();
    let still = performance.now();
    // Frozen: it has not counted for three seconds, thirty of its steps.
    const frozen = await eventually(
      'it is frozen',
      async () => {
        const now = await size();
        if (now !== last) [last, still] = [now, performance.now()];
        return performance.now() - still > 3000 ? still - away : undefined;
      },
      40_000,
    );
    assert.ok(frozen > 10_000, `frozen ${frozen} ms after etcd went`);
    await pause(Math.max(0, 27_000 - (performance.now() - away)));
    assert.equal(await size(), last);
    await etcd.members[0]!.restart();
    await eventually('it goes on', async () => (await size()) > last || undefined);
    await rm(counter);
    await writeFile(`${counter}.end`, '');
    const result = await cluster.finished(id);
    assert.deepEqual([result.outcome, result.attempt, result.past], ['passed', 1, []]);
    assert.match((await cluster.cli(['logs', id])).stdout, /attempt 1\n/);
  });

  test('etcd is away when a task ends: its verdict is recorded when etcd is back', async () => {
    await using proxy = await FaultProxy.start(etcd.endpoints[0]);
    await using cluster = await realCluster({ etcd, s3, endpoints: [proxy.endpoint] }, 'n1');
    const id = await cluster.submit({ steps: [{ run: 'sleep 2; echo over; exit 7' }] });
    await cluster.running(id);
    proxy.set({ refuse: true });
    proxy.cut();
    await pause(6000);
    const asked = await cluster.cli(['tasks']);
    assert.equal(asked.code, 3, asked.stderr);
    assert.match(asked.stderr, /^simple-ci: Cannot [^\n]*etcd[^\n]*\n$/);
    const submitted = await cluster.cli(['submit', '-'], { input: '{"name":"x","steps":[{"run":"true"}]}' });
    assert.equal(submitted.code, 3, submitted.stderr);
    proxy.set({});
    const result = await cluster.finished(id);
    assert.deepEqual([result.outcome, result.attempt], ['failed', 1]);
    assert.match(result.message, /code 7/);
  });

  test('etcd hangs while a node claims: told to stop it stops all the same, and another node takes the task', async () => {
    await using proxy = await FaultProxy.start(etcd.endpoints[0]);
    await using cluster = await realCluster({ etcd, s3, endpoints: [proxy.endpoint] });
    const leaving = await cluster.add('leaving', '--drain-timeout', '1s');
    // It has a watch, so that it still hears of tasks when it is not heard any more.
    await cluster.finished(await cluster.submit({}));
    proxy.set({ blackhole: 'up' });
    const id = newTaskId(5, Date.now(), Math.random);
    const task = { v: 1, name: 'x', steps: [{ run: 'true' }], submitted: Date.now(), submitter: 'someone' };
    await etcdctl(etcd, 'put', `${cluster.id}/tasks/${id}`, JSON.stringify(task));
    await eventually('it claims', () => Buffer.concat(proxy.swallowed).includes(`${id}.lock`));
    leaving.process.kill('SIGTERM');
    const code = await Promise.race([leaving.ended, pause(120_000, 'never', { ref: false })]);
    assert.equal(code, 0, leaving.output());
    proxy.set({});
    proxy.cut();
    await cluster.add('staying');
    const result = await cluster.finished(id);
    assert.deepEqual([result.outcome, result.node, result.attempt], ['passed', 'staying', 1]);
  });

  test('kill -9 of a node costs the last second of the log at most, and one attempt', async () => {
    await using folder = await temporaryFolder();
    const counter = join(folder.path, 'counter');
    await using cluster = await realCluster({ etcd, s3 });
    const first = await cluster.add('first', '--isolation', 'none');
    const run = `if [ $SIMPLE_CI_ATTEMPT = 2 ]; then exit 0; fi
i=0; while :; do i=$((i+1)); echo $i | tee ${counter}; sleep 0.05; done`;
    const id = await cluster.submit({ steps: [{ run }] });
    await cluster.running(id);
    const count = async () => Number(await readFile(counter, 'utf8').catch(() => '0'));
    await eventually('it has counted', async () => (await count()) >= 60 || undefined);
    await cluster.add('second');
    first.process.kill('SIGKILL');
    await first.ended;
    const killed = await count();
    await eventually('its processes died with it', async () => {
      const before = await count();
      await pause(300);
      return (await count()) === before || undefined;
    });
    await rm(first.data, { recursive: true, force: true });
    const result = await cluster.finished(id, 90_000);
    assert.deepEqual(
      [result.outcome, result.attempt, result.node, result.past.map(({ end }) => end)],
      ['passed', 2, 'second', ['lost']],
    );
    const second = { node: cluster.nodes[1]! };
    const lines = (await cluster.cli(['logs', id, '--attempt', '1', '--raw'], second)).stdout.trim().split('\n');
    assert.deepEqual(
      lines.map(Number),
      lines.map((_, i) => i + 1),
    );
    // Twenty a second when the machine is idle; the margin is for when it is not.
    assert.ok(lines.length >= killed - 40, `${killed} printed, ${lines.length} stored`);
  });

  test('the data folder of an idle node is deleted: its next task passes', async () => {
    await using cluster = await realCluster({ etcd, s3 }, 'n1');
    await using workspace = await temporaryFolder();
    const run = () =>
      cluster.cli(['run', '--artifact', 'kept', '--', 'sh', '-c', 'echo it > kept'], { cwd: workspace.path });
    assert.equal((await run()).code, 0);
    await rm(cluster.nodes[0]!.data, { recursive: true, force: true });
    const again = await run();
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stderr, /attempt 1 on n1/);
  });
});

/** The same S3, by way of a proxy that may fail it. */
function behind({ bucket, environment }: OwnCephS3, proxy: FaultProxy) {
  return { address: `s3://${bucket}?endpoint=${encodeURIComponent(proxy.endpoint)}`, environment };
}
