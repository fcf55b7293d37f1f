import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { newTaskId } from '../../shared/ids.ts';
import { type CephS3, startCeph, whyNoCeph } from '../support/ceph-server.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { etcdctl, keysUnder } from '../support/etcdctl.ts';
import { type RealCluster, realCluster } from '../support/real-cluster.ts';
import { type Finished, simpleCi, temporaryFolder } from '../support/simple-ci.ts';
import { eventually } from '../support/test-tasks.ts';

let etcd: EtcdServer;
before(async () => {
  etcd = await startEtcd();
});
after(() => etcd?.[Symbol.asyncDispose]());

/** One sentence on standard error, whatever went wrong; never a stack trace. */
function refused({ code, stdout, stderr }: Finished, expected: number, message: RegExp): void {
  assert.equal(code, expected, stderr);
  const lines = stderr
    .trimEnd()
    .split('\n')
    .filter(line => !line.startsWith('{'));
  assert.match(lines[0] ?? '', message);
  assert.match(lines[0] ?? '', /^simple-ci: Cannot /);
  assert.ok(lines.length === 1 || (lines.length === 2 && /^Try: /.test(lines[1] ?? '')), stderr);
  assert.doesNotMatch(stderr + stdout, /^ +at /m);
}

suite('a node that cannot start says what, why and the value in one line, and leaves nothing', () => {
  const node = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    await using data = await temporaryFolder();
    const all = ['node', '--listen', '127.0.0.1:0', '--data', join(data.path, 'data'), '--log-level', 'warn', ...args];
    return simpleCi(all, { env });
  };
  const withEtcd = (cluster: string, ...args: string[]) => [
    '--cluster',
    cluster,
    '--etcd',
    etcd.endpoints.join(','),
    ...args,
  ];
  const leftNothing = async (cluster: string) => assert.deepEqual(await keysUnder(etcd, `${cluster}/members/`), []);

  for (const [id, why] of [
    ['', /needs? --cluster|Cannot .*cluster/],
    ['Acme', /each part between slashes must be 1 to 63 of \[a-z0-9_-\].*: "Acme"$/],
    ['acme/../ci', /each part.*: "acme\/\.\.\/ci"$/],
    ['acme//ci', /each part.*: "acme\/\/ci"$/],
    ['/acme', /each part.*: "\/acme"$/],
    ['acme/tasks', /"tasks" is a reserved word of the keyspace: "acme\/tasks"$/],
    ['a'.repeat(201), /longer than 200 characters/],
  ] as const) {
    test(`the cluster id ${JSON.stringify(id.slice(0, 20))}`, async () => {
      refused(await node(['--cluster', id, '--etcd', etcd.endpoints[0]]), 2, why);
    });
  }

  test('a node id with a slash', async () => {
    refused(await node(withEtcd('bad/node-id', '--node-id', 'a/b')), 2, /node id as it is not .*: "a\/b"$/);
    assert.deepEqual(await keysUnder(etcd, 'bad/node-id/'), []);
  });

  test('an etcd where nothing listens', async () => {
    refused(
      await node(['--cluster', 'acme', '--etcd', 'http://127.0.0.1:1']),
      3,
      /etcd.*http:\/\/127\.0\.0\.1:1 \(connection refused/,
    );
  });

  test('an etcd that takes connections and says nothing', async t => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    t.after(() => silent.close());
    const { port } = silent.address() as { port: number };
    const started = performance.now();
    refused(await node(['--cluster', 'acme', '--etcd', `http://127.0.0.1:${port}`]), 3, new RegExp(`etcd.*:${port}`));
    assert.ok(performance.now() - started < 60_000);
  });

  test('a port that is taken', async t => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    t.after(() => taken.close());
    const { port } = taken.address() as { port: number };
    const ended = await node(withEtcd('bad/port', '--listen', `127.0.0.1:${port}`));
    refused(ended, 2, new RegExp(`127\\.0\\.0\\.1:${port}.*(in use|taken|another program)`));
    await leftNothing('bad/port');
  });

  test('an address that is not this machine’s', async () => {
    refused(await node(withEtcd('bad/listen', '--listen', '192.0.2.1:7100')), 2, /192\.0\.2\.1:7100/);
    await leftNothing('bad/listen');
  });

  test('a data folder that is a file', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'file');
    await writeFile(file, '');
    refused(await node(withEtcd('bad/data', '--data', join(file, 'data'))), 2, new RegExp(file));
    await leftNothing('bad/data');
  });

  test('a secrets key that is too short', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'key');
    await writeFile(file, 'short');
    refused(await node(withEtcd('bad/key', '--secrets-key', file)), 2, new RegExp(`key.*${file}|${file}.*key`));
    await leftNothing('bad/key');
  });

  test('a cluster record that is not one of Simple CI', async () => {
    await etcdctl(etcd, 'put', 'bad/record/cluster', 'something else');
    refused(await node(withEtcd('bad/record')), 2, /its record is not one of Simple CI: something else$/);
    await leftNothing('bad/record');
  });

  test('a cluster that a newer release has formed', async () => {
    await etcdctl(etcd, 'put', 'bad/newer/cluster', JSON.stringify({ v: 2, epoch: 'abcdefghijkl', created: 1 }));
    refused(await node(withEtcd('bad/newer')), 2, /a newer release formed it: format 2, this release knows 1$/);
    assert.deepEqual(await keysUnder(etcd, 'bad/newer/'), ['bad/newer/cluster']);
  });
});

suite('passwords that are wrong', () => {
  test('of etcd are named by user, never by value', async () => {
    await using guarded = await startEtcd({ auth: true });
    await using data = await temporaryFolder();
    const node = (env: Record<string, string>) =>
      simpleCi(
        [
          ...['node', '--cluster', 'ci', '--etcd', guarded.endpoints[0], '--listen', '127.0.0.1:0'],
          ...['--data', data.path],
        ],
        { env },
      );
    const wrong = await node({ SIMPLE_CI_ETCD_USER: 'ci', SIMPLE_CI_ETCD_PASSWORD: 'not-the-password' });
    refused(wrong, 2, /etcd does not know this user and password: http:/);
    assert.doesNotMatch(wrong.stderr, /not-the-password/);
    refused(await node({}), 2, /etcd wants a user|etcd.*user/i);
  });
});
