import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type CephS3, startCeph, whyNoCeph } from '../support/ceph-server.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { type RealCluster, realCluster } from '../support/real-cluster.ts';
import { temporaryFolder } from '../support/simple-ci.ts';
import { eventually } from '../support/test-tasks.ts';

suite('logs on etcd and S3, between two nodes', { skip: whyNoCeph() }, () => {
  let etcd: EtcdServer;
  let s3: CephS3;
  let cluster: RealCluster;
  before(async () => {
    [etcd, s3] = await Promise.all([startEtcd(), startCeph()]);
    cluster = await realCluster({ etcd, s3 });
    await cluster.add('worker', '--labels', 'worker');
    await cluster.add('other', '--slots', '0');
  });
  after(async () => {
    await cluster?.[Symbol.asyncDispose]();
    await etcd?.[Symbol.asyncDispose]();
    await s3?.[Symbol.asyncDispose]();
  });
  const other = () => ({ node: cluster.nodes[1]! });

  test('a log is followed live through the node that does not run the task', async () => {
    await using folder = await temporaryFolder();
    const gate = join(folder.path, 'gate');
    await using own = await realCluster({ etcd, s3 });
    // Without isolation, so that the test can tell the task when it was heard.
    await own.add('worker', '--isolation', 'none');
    await own.add('other', '--slots', '0');
    const id = await own.submit({
      steps: [{ run: `echo heard?; until [ -e ${gate} ]; do sleep 0.05; done; echo heard.; exit 3` }],
    });
    const following = await own.begin(['logs', id, '-f'], { node: own.nodes[1]! });
    await eventually('the first line came', () => following.out().includes('heard?\n') || undefined);
    assert.equal((await own.view(id)).state, 'running');
    await writeFile(gate, '');
    assert.equal(await following.ended, 0);
    assert.match(following.out().toString(), /heard\?\nheard\.\n/);
    assert.equal((await own.finished(id)).outcome, 'failed');
  });

  test('five megabytes of random bytes come back as they were printed, from any byte on', async () => {
    const id = await cluster.submit({
      steps: [{ run: 'head -c 5000000 /dev/urandom | tee kept' }],
      artifacts: ['kept'],
    });
    assert.equal((await cluster.finished(id)).outcome, 'passed');
    const kept = (await cluster.cli(['artifacts', id, 'kept', '-o', '-'], other())).bytes;
    assert.equal(kept.length, 5_000_000);
    const whole = await cluster.cli(['logs', id, '--raw'], other());
    assert.equal(digest(whole.bytes), digest(kept));
    for (const from of [0, 1, 1_048_575, 1_048_576, 4_999_999, 5_000_000]) {
      const rest = await cluster.cli(['logs', id, '--raw', '--from', `${from}`], other());
      assert.equal(digest(rest.bytes), digest(kept.subarray(from)), `from ${from}`);
    }
    const tail = await cluster.cli(['logs', id, '--raw', '--tail', '1000'], other());
    assert.equal(digest(tail.bytes), digest(kept.subarray(-1000)));
    const followed = await cluster.cli(['logs', id, '--raw', '-f', '--from', '123456'], other());
    assert.equal(digest(followed.bytes), digest(kept.subarray(123_456)));
    const shown = await cluster.cli(['logs', id], other());
    assert.equal(shown.code, 0);
    assert.doesNotMatch(shown.stdout, /[\u0000-\u0008\u000b-\u001f\u007f]/);
  });

  test('one line of 100 MB is stored, followed and fetched', async () => {
    const id = await cluster.submit({
      steps: [{ run: 'head -c 100000000 /dev/zero | tr "\\0" x; echo' }],
    });
    const following = await cluster.begin(['logs', id, '-f', '--raw'], other());
    const hash = createHash('sha256');
    let followed = 0;
    following.child.stdout?.on('data', chunk => {
      hash.update(chunk);
      followed += chunk.length;
    });
    const result = await cluster.finished(id, 120_000);
    assert.deepEqual([result.outcome, result.log.bytes, result.log.lines], ['passed', 100_000_001, 1]);
    assert.equal(await following.ended, 0);
    assert.equal(followed, 100_000_001);
    const expected = createHash('sha256').update(Buffer.alloc(100_000_000, 'x')).update('\n').digest('hex');
    assert.equal(hash.digest('hex'), expected);
    const tail = await cluster.cli(['logs', id, '--tail', '3'], other());
    assert.match(tail.stdout, /xx\n$/);
  });

  test('a byte after the end, and an attempt that there never was, are refused with what there is', async () => {
    const id = await cluster.submit({ steps: [{ run: 'printf 12345' }] });
    await cluster.finished(id);
    assert.equal((await cluster.cli(['logs', id, '--raw', '--from', '3'], other())).stdout, '45');
    assert.equal((await cluster.cli(['logs', id, '--raw', '--from', '5'], other())).stdout, '');
    const past = await cluster.cli(['logs', id, '--raw', '--from', '6'], other());
    assert.ok(past.code === 0 ? past.stdout === '' : /Cannot .*6/.test(past.stderr), past.stderr);
    const never = await cluster.cli(['logs', id, '--attempt', '2'], other());
    assert.equal(never.code, 2, never.stderr);
    assert.match(never.stderr, /^simple-ci: Cannot .*attempt 2/);
  });

  test('a task that has no log is said to have none, and why', async () => {
    const id = await cluster.submit({ steps: [{ run: 'true' }], labels: ['nobody'] });
    const queued = await cluster.cli(['logs', id], other());
    assert.deepEqual([queued.code, queued.stdout, queued.stderr], [0, '', 'The task is queued, and has no log yet.\n']);
    const following = await cluster.begin(['logs', id, '-f'], other());
    await eventually('it says so', () => /is queued: its log goes on/.test(following.err()) || undefined);
    assert.equal((await cluster.cli(['cancel', id])).code, 0);
    assert.equal(await following.ended, 0);
    assert.match(following.err(), /\nThe task has no log\. Cancelled by /);
    assert.equal((await cluster.cli(['logs', id, '--json'], other())).stderr, '');
  });
});

function digest(bytes: Uint8Array): string {
  return `${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`;
}
