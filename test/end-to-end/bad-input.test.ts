import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type CephS3, startCeph, whyNoCeph } from '../support/ceph-server.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { etcdctl, keysUnder } from '../support/etcdctl.ts';
import { type RealCluster, realCluster } from '../support/real-cluster.ts';
import { type Finished, programUnderTest, simpleCi, startNode, temporaryFolder } from '../support/simple-ci.ts';
import { eventually } from '../support/test-tasks.ts';

let etcd: EtcdServer;
before(async () => {
  etcd = await startEtcd();
});
after(() => etcd?.[Symbol.asyncDispose]());

/** One sentence on standard error, and for a file a line for each mistake; never a stack trace. */
function refused({ code, stdout, stderr }: Finished, expected: number, message: RegExp): void {
  assert.equal(code, expected, stderr);
  const [first = '', ...more] = stderr.trimEnd().split('\n');
  assert.match(first, /^simple-ci: Cannot /);
  for (const line of more)
    assert.match(line, /^(Try: |(Warning|Workspace): | {2}(standard input|[\w.-]+):\d+:\d+: | {2}and \d+ more$)/);
  assert.match(stderr.trimEnd(), message);
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

  test('a Node that is too old to run it', async () => {
    await using folder = await temporaryFolder();
    const [node, ...program] = await programUnderTest();
    const old = join(folder.path, 'old.cjs');
    await writeFile(
      old,
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '22.9.0' } });",
    );
    const { status, stderr } = spawnSync(node, ['--require', old, ...program, 'help'], { encoding: 'utf8' });
    assert.equal(status, 2);
    assert.match(stderr, /^simple-ci: Cannot run on this Node as 24 or later is needed: .*node, v[0-9.]+\n$/);
  });

  for (const [size, why] of [
    ['GB', 'not like 500Mi, 20Gi or a number of bytes'],
    ['20GB', 'not like 500Mi, 20Gi or a number of bytes'],
    ['1e9', 'not like 500Mi, 20Gi or a number of bytes'],
    ['∞', 'not like 500Mi, 20Gi or a number of bytes'],
    ['0', 'less than 1Mi'],
    ['20', 'less than 1Mi'],
  ] as const)
    test(`the size of its data folder ${JSON.stringify(size)}`, async () => {
      const refusal = new RegExp(`Cannot use --data-size as it is ${why}: "${size}"`);
      refused(await node(['--cluster', 'acme', '--data-size', size]), 2, refusal);
    });

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
    assert.deepEqual(await keysUnder(etcd, 'bad/port/'), []);
    assert.ok(!`${ended.stdout}${ended.stderr}`.includes('sci_'), ended.stderr);
  });

  test('an address that is not this machine’s', async () => {
    refused(await node(withEtcd('bad/listen', '--listen', '192.0.2.1:7100')), 2, /192\.0\.2\.1:7100/);
    assert.deepEqual(await keysUnder(etcd, 'bad/listen/'), []);
  });

  test('an address to advertise that others could not open', async () => {
    refused(
      await node(withEtcd('bad/advertise', '--advertise', 'ci:7100')),
      2,
      /--advertise as it is not like http:\/\/host:7100: "ci:7100"$/,
    );
    await leftNothing('bad/advertise');
  });

  test('a host name that is a URL, which no request ever names', async () => {
    refused(
      await node(withEtcd('bad/host', '--host-name', 'https://ci.example.com')),
      2,
      /--host-name as it is not like ci\.example\.com: "https:\/\/ci\.example\.com"$/,
    );
  });

  test('a label that no task could ask for', async () => {
    refused(
      await node(withEtcd('bad/label', '--labels', 'gpu,big box')),
      2,
      /--labels as a label must be .*: "big box"$/,
    );
    await leftNothing('bad/label');
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

suite('credentials and stores that are wrong', () => {
  let s3: CephS3;
  before(async () => {
    if (whyNoCeph() === false) s3 = await startCeph();
  });
  after(() => s3?.[Symbol.asyncDispose]());

  test('of etcd: the user and password are not repeated', async () => {
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
    refused(await node({}), 2, /etcd.*user/i);
  });

  for (const [what, change, code, message] of [
    ['a wrong secret key', { AWS_SECRET_ACCESS_KEY: 'not-the-key' }, 2, /secret key is not the one/],
    ['an access key that nobody has', { AWS_ACCESS_KEY_ID: 'NOBODY' }, 2, /access key|credentials/],
    ['no credentials at all', { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }, 2, /no credentials were found/],
  ] as const) {
    test(`of S3: ${what}, and no cluster is formed`, { skip: whyNoCeph() }, async () => {
      const cluster = `bad/s3-${what.split(' ').join('-')}`;
      await using data = await temporaryFolder();
      const where = ['--cluster', cluster, '--etcd', etcd.endpoints[0], '--s3', s3.address];
      const env = { HOME: data.path, ...s3.environment, ...change };
      const args = ['node', ...where, '--listen', '127.0.0.1:0', '--data', data.path];
      const ended = await simpleCi(args, { env });
      refused(ended, code, message);
      assert.match(ended.stderr, new RegExp(`bucket "${s3.bucket}" at ${s3.endpoint}`));
      assert.doesNotMatch(ended.stderr, /not-the-key/);
      assert.deepEqual(await keysUnder(etcd, `${cluster}/`), []);
    });
  }

  for (const [what, address, code, message] of [
    ['nothing listens', 's3://abc?endpoint=http://127.0.0.1:1', 3, /could not be reached.*127\.0\.0\.1:1/],
    ['the address is no address', 'http://bucket', 2, /S3 address.*"http:\/\/bucket"/],
  ] as const) {
    test(`of S3: ${what}, and no cluster is formed`, async () => {
      await using data = await temporaryFolder();
      const where = ['--cluster', 'bad/s3', '--etcd', etcd.endpoints[0], '--s3', address];
      const env = { HOME: data.path, AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
      const args = ['node', ...where, '--listen', '127.0.0.1:0', '--data', data.path];
      refused(await simpleCi(args, { env }), code, message);
      assert.deepEqual(await keysUnder(etcd, 'bad/s3/'), []);
    });
  }

  test('of S3: there is no such bucket, and no cluster is formed', { skip: whyNoCeph() }, async () => {
    await using data = await temporaryFolder();
    const address = `s3://no-such-bucket?endpoint=${encodeURIComponent(s3.endpoint)}`;
    const where = ['--cluster', 'bad/bucket', '--etcd', etcd.endpoints[0], '--s3', address];
    const args = ['node', ...where, '--listen', '127.0.0.1:0', '--data', data.path];
    refused(await simpleCi(args, { env: s3.environment }), 2, /there is no such bucket: bucket "no-such-bucket"/);
    assert.deepEqual(await keysUnder(etcd, 'bad/bucket/'), []);
  });

  test('the first admin token is not lost when the start that made it fails', async () => {
    await using data = await temporaryFolder();
    // What the supervisor finds where its folder belongs: it fails after the cluster has been formed.
    const inTheWay = join(data.path, 'sandboxes');
    await writeFile(inTheWay, '');
    const where = ['--cluster', 'bad/first-token', '--etcd', etcd.endpoints[0], '--data', data.path];
    const failed = await simpleCi(['node', ...where, '--listen', '127.0.0.1:0']);
    assert.notEqual(failed.code, 0, failed.stderr);
    await rm(inTheWay);
    const token = /Admin token of this new cluster, shown this once: (sci_\w+)/.exec(failed.stdout)?.[1];
    await using node = await startNode(where);
    const env = { SIMPLE_CI_URL: node.address, SIMPLE_CI_TOKEN: token ?? '' };
    assert.equal((await simpleCi(['token', 'list'], { env })).code, 0);
  });
});

suite('a command that is refused submits nothing', () => {
  let cluster: RealCluster;
  before(async () => {
    cluster = await realCluster({ etcd }, 'n1');
  });
  after(() => cluster?.[Symbol.asyncDispose]());

  const leftNothing = async () => {
    const kept = await keysUnder(etcd, `${cluster.id}/`);
    assert.deepEqual(
      kept.filter(key => /\/(tasks|attempts|completed|waiting|runs)\//.test(key)),
      [],
    );
  };
  const step = { run: 'true' };

  for (const [what, text, message] of [
    ['no JSON and no YAML', '{"name": ', /standard input:1:\d+: /],
    ['an empty file', '', /standard input:1:1: /],
    ['a list', '[]', /standard input:1:1: must be a map$/m],
    ['a bomb of aliases', bomb(), /standard input:2:\d+: .*alias|anchor/],
    ['a prototype', '{"name":"a","steps":[{"run":"true"}],"__proto__":{"x":1}}', /__proto__/],
    ['a key twice', 'name: a\nname: b\nsteps: [{run: "true"}]', /standard input:2:1: .*this key twice/],
    ['no steps', { name: 'a' }, /steps is missing/],
    ['a step that is a number', { name: 'a', steps: [1] }, /steps\[0\] must be a map: 1/],
    [
      'a timeout of a wrong type',
      { name: 'a', steps: [step], timeout: { minutes: 3 } },
      /timeout must be a string or a number/,
    ],
    [
      'a timeout without a unit',
      { name: 'a', steps: [step], timeout: '3 parsecs' },
      /timeout must be like "90s".*"3 parsecs"/,
    ],
    ['a priority of 10', { name: 'a', steps: [step], priority: 10 }, /priority must be at most 9: 10/],
    [
      '70 KiB',
      { name: 'a', steps: [step], env: { BIG: 'x'.repeat(70_000) } },
      /too large: 70\d{3} bytes, at most 65536/,
    ],
    [
      'a working directory above',
      { name: 'a', steps: [step], workingDirectory: '../..' },
      /workingDirectory.*"\.\.\/\.\."/,
    ],
    ['an absolute working directory', { name: 'a', steps: [{ ...step, workingDirectory: '/etc' }] }, /"\/etc"/],
    [
      'an artifact elsewhere',
      { name: 'a', steps: [step], artifacts: ['../../etc/shadow'] },
      /"\.\.\/\.\.\/etc\/shadow"/,
    ],
    ['an absolute artifact', { name: 'a', steps: [step], artifacts: ['/etc/shadow'] }, /"\/etc\/shadow"/],
    [
      'a variable of the node',
      { name: 'a', steps: [step], env: { SIMPLE_CI_FENCE: '1' } },
      /env\.SIMPLE_CI_FENCE has a name that must be/,
    ],
    ['a name with a line break', { name: 'a\nb', steps: [step] }, /name must not hold control characters: "a\\nb"/],
    ['a git address that is an option', git('--upload-pack=touch /tmp/x'), /url.*"--upload-pack/],
    ['a git address of a file', git('file:///etc'), /url.*"file:\/\/\/etc"/],
    ['a git address of a helper', git('ext::sh -c touch% /tmp/x'), /url.*"ext::/],
    ['a git address over http', git('http://example.org/a.git'), /url.*"http:/],
    ['an ssh host that is an option', git('ssh://-oProxyCommand=touch/x'), /url.*"ssh:\/\/-o/],
    ['an ssh host behind a user that is an option', git('ssh://a@-oProxyCommand=x/y'), /url must be like https:/],
    [
      'a git address with a password',
      git('https://me:pw@example.org/x'),
      /url must not hold a password.*"https:..…@ex/,
    ],
    ['a git ref that climbs', git('https://example.org/a.git', 'refs/heads/../../x'), /ref must be a branch, tag or/],
    ['a git ref that is an option', git('https://example.org/a.git', '--upload-pack=x'), /ref.*"--upload-pack/],
    ['a git ref with a colon', git('https://example.org/a.git', 'a:b'), /ref.*"a:b"/],
    ['a label with a space', { name: 'a', steps: [step], labels: ['a b'] }, /labels.*"a b"/],
    [
      'a source of an unknown type',
      { name: 'a', steps: [step], source: { type: 'svn' } },
      /source\.type must be one of .*"svn"/,
    ],
  ] as const) {
    test(`task.json: ${what}`, async () => {
      const input = typeof text === 'string' ? text : JSON.stringify(text);
      const ended = await cluster.cli(['submit', '-'], { input });
      refused(ended, 2, message);
      await leftNothing();
    });
  }

  test('a field that this release does not know is kept, whatever it holds', async () => {
    const id = await cluster.submit({ future: { deep: [1, null, 'x'] }, steps: [{ run: 'true', future: 2 }] });
    await cluster.finished(id);
    const { task } = JSON.parse(
      (await etcdctl(etcd, 'get', '--print-value-only', `${cluster.id}/completed/${id}`)).trim(),
    );
    assert.deepEqual([task.future, task.steps[0].future], [{ deep: [1, null, 'x'] }, 2]);
    await etcdctl(etcd, 'del', `${cluster.id}/completed/${id}`);
  });

  for (const id of ['../../tokens', 'a.lock', '5/../x', 'x'.repeat(27), `${'5'.repeat(27)}.lock`, '%2e%2e%2f', '']) {
    test(`the task id ${JSON.stringify(id)} is no task`, async () => {
      const all = ['task', 'cancel', 'logs', 'retry'].map(word => cluster.cli([word, id]));
      for (const ended of await Promise.all(all)) refused(ended, 2, /task id as it is not 26 to 32 .*: "/);
      await leftNothing();
    });
  }

  for (const [what, args, message] of [
    ['a timeout that is none', ['run', '--timeout', 'soon', '--', 'true'], /--timeout.*"?soon/],
    ['a priority of 11', ['run', '--priority', '11', '--', 'true'], /--priority.*11/],
    ['a folder that is not there', ['run', '-C', '/no/such/folder', '--', 'true'], /\/no\/such\/folder/],
    ['a file that is not there', ['submit', '/no/such/task.json'], /"\/no\/such\/task\.json"/],
    ['an artifact above', ['run', '-a', '../x', '--', 'true'], /artifacts.*inside the workspace/],
    ['a variable with a dash', ['run', '-e', 'A-B=1', '--', 'true'], /env\.A-B has a name that must be/],
    ['a role that is none', ['token', 'create', 'me', '--role', 'god'], /--role.*"?god/],
    ['a secret in small letters', ['secret', 'set', 'small'], /small/],
    ['a byte before the log', ['logs', '5'.repeat(27), '--from', '-1'], /--from.*-1/],
  ] as const) {
    test(`the command line: ${what}`, async () => {
      refused(await cluster.cli(args, { input: 'a value' }), 2, message);
      await leftNothing();
    });
  }

  test('a token that is wrong, cut, or none', async () => {
    for (const token of ['nonsense', `${cluster.token}x`, cluster.token.slice(0, -1), 'sci_a_00000000_x'])
      refused(await cluster.cli(['tasks'], { token }), 2, /token/);
    refused(await cluster.cli(['tasks'], { token: '' }), 2, /without a token: set SIMPLE_CI_TOKEN/);
  });

  test('a token that has expired, and one that was revoked', async () => {
    const short = await cluster.cli(['token', 'create', 'short', '--expires', '1s', '--json']);
    const { token } = JSON.parse(short.stdout);
    await eventually('it has expired', async () => (await cluster.cli(['tasks'], { token })).code === 2 || undefined);
    refused(await cluster.cli(['tasks'], { token }), 2, /as its token has expired: "short", at 20\d\d-\S+Z/);
    const made = JSON.parse((await cluster.cli(['token', 'create', 'gone', '--json'])).stdout);
    assert.equal((await cluster.cli(['tasks'], { token: made.token })).code, 0);
    assert.equal((await cluster.cli(['token', 'revoke', made.view.id])).code, 0);
    refused(await cluster.cli(['tasks'], { token: made.token }), 2, /as its token is unknown or revoked/);
  });

  test('a node that is not there, and one that is no node', async t => {
    refused(
      await cluster.cli(['tasks'], { env: { SIMPLE_CI_URL: 'http://127.0.0.1:1' } }),
      3,
      /http:\/\/127\.0\.0\.1:1/,
    );
    const other = createHttpServer((_, response) => response.end('hello')).listen(0, '127.0.0.1');
    await once(other, 'listening');
    t.after(() => other.close());
    const url = `http://127.0.0.1:${(other.address() as { port: number }).port}`;
    refused(await cluster.cli(['tasks'], { env: { SIMPLE_CI_URL: url } }), 3, new RegExp(url));
  });
});

function git(url: string, ref = 'main') {
  return { name: 'a', steps: [{ run: 'true' }], source: { type: 'git', url, ref } };
}

/** Ten lines of YAML that would unfold to a thousand million values. */
function bomb(): string {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let i = 1; i < 10; i++)
    lines.push(
      `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    );
  return lines.join('\n');
}
