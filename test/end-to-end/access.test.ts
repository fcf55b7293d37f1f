import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type CephS3, startCeph, whyNoCeph } from '../support/ceph-server.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { etcdctl, keysUnder } from '../support/etcdctl.ts';
import { type CliOptions, type RealCluster, realCluster } from '../support/real-cluster.ts';
import { temporaryFolder } from '../support/simple-ci.ts';
import { eventually } from '../support/test-tasks.ts';

let etcd: EtcdServer;
let s3: CephS3;
const skip = whyNoCeph();
before(async () => {
  if (!skip) [etcd, s3] = await Promise.all([startEtcd(), startCeph()]);
});
after(async () => {
  await etcd?.[Symbol.asyncDispose]();
  await s3?.[Symbol.asyncDispose]();
});

suite('secrets', { skip }, () => {
  test('a secret reaches the task that asks for it, and nobody who reads a log, etcd or S3', async () => {
    await using folder = await temporaryFolder();
    const key = join(folder.path, 'key');
    await writeFile(key, randomBytes(32).toString('base64'), { mode: 0o600 });
    await using cluster = await realCluster({ etcd, s3 });
    await cluster.add('worker', '--secrets-key', key);
    await cluster.add('other', '--slots', '0', '--secrets-key', key);
    const value = 'hunter2-correct/horse+battery';
    const set = await cluster.cli(['secret', 'set', 'DEPLOY'], { input: `${value}\n` });
    assert.equal(set.code, 0, set.stderr);
    assert.doesNotMatch(set.stdout + set.stderr, /hunter2/);
    const run = `[ "$DEPLOY" = '${value.slice(0, 10)}''${value.slice(10)}' ] && echo it is right
echo "as it is: $DEPLOY"; printf %s "$DEPLOY" | base64; printf %s "$DEPLOY" | head -c 12; sleep 1; printf %s "$DEPLOY" | tail -c +13; echo
[ -z "$OTHER" ] && echo no other`;
    const id = await cluster.submit({ secrets: ['DEPLOY'], steps: [{ run }] });
    const following = await cluster.cli(['logs', id, '-f'], { node: cluster.nodes[1]! });
    assert.equal((await cluster.finished(id)).outcome, 'passed');
    const stored = await cluster.cli(['logs', id, '--raw'], { node: cluster.nodes[1]! });
    for (const text of [following.stdout, stored.stdout]) {
      assert.match(text, /it is right\n/);
      assert.match(text, /as it is: \*\*\*\n\*\*\*\S{0,4}\n\*\*\*\nno other\n$/);
      assert.ok(!text.includes(Buffer.from(value).toString('base64').slice(0, 12)));
    }
    const everything = await etcdctl(etcd, 'get', '--prefix', `${cluster.id}/`);
    assert.ok(!everything.includes(value) && !everything.includes(Buffer.from(value).toString('base64')));
    assert.deepEqual(
      JSON.parse((await cluster.cli(['secret', 'list', '--json'])).stdout).secrets.map(
        (one: { name: string }) => one.name,
      ),
      ['DEPLOY'],
    );
  });

  test('without a key a secret cannot be set, and the message says how to get one', async () => {
    await using cluster = await realCluster({ etcd, s3 }, 'n1');
    const ended = await cluster.cli(['secret', 'set', 'DEPLOY'], { input: 'hunter2' });
    assert.ok(ended.code === 2 || ended.code === 3, ended.stderr);
    assert.match(ended.stderr, /^simple-ci: Cannot [^\n]*--secrets-key[^\n]*\n$/);
    assert.doesNotMatch(ended.stderr, /hunter2/);
    assert.deepEqual(
      (await keysUnder(etcd, `${cluster.id}/secrets/`)).filter(name => !name.endsWith('cluster-key')),
      [],
    );
  });

  test('a node with another key gives its task back rather than failing it, and one with the right key runs it', async () => {
    await using folder = await temporaryFolder();
    const [right, wrong] = [join(folder.path, 'right'), join(folder.path, 'wrong')];
    for (const file of [right, wrong]) await writeFile(file, randomBytes(32).toString('hex'), { mode: 0o600 });
    await using cluster = await realCluster({ etcd, s3 });
    const first = await cluster.add('right', '--secrets-key', right);
    assert.equal((await cluster.cli(['secret', 'set', 'DEPLOY'], { input: 'hunter2-and-more' })).code, 0);
    first.process.kill('SIGTERM');
    await first.ended;
    const second = await cluster.add('wrong', '--secrets-key', wrong);
    const task = { secrets: ['DEPLOY'], attempts: { lost: 1 }, steps: [{ run: 'true' }] };
    const result = await cluster.finished(await cluster.submit(task, { node: second }));
    assert.equal(result.outcome, 'infrastructure-lost');
    assert.match(result.message, /secret.*DEPLOY|DEPLOY.*key/);
  });
});

suite('a hostile task, at the isolation that a node takes by itself', { skip }, () => {
  test('finds none of the node’s credentials: in no variable, file, process or memory', async () => {
    const canary = `canary-${randomBytes(12).toString('hex')}`;
    const env = { CANARY_VARIABLE: canary };
    await using cluster = await realCluster({ etcd, s3, env }, 'n1');
    const { data, process: node } = cluster.nodes[0]!;
    await writeFile(join(data, 'canary'), canary, { mode: 0o600 });
    const secret = s3.credentials.secretAccessKey;
    // In two halves, so that the hunt does not find itself.
    const halves = (text: string) => `${text.slice(0, 6)}''${text.slice(6)}`;
    const run = `
import os, re, sys
words = [w.replace("''", '').encode() for w in (r"""${halves(canary)}""", r"""${halves(secret)}""")]
found, seen = [], 0
def look(path, limit=1 << 22):
    global seen
    try:
        with open(path, 'rb') as f: data = f.read(limit)
    except OSError: return
    seen += 1
    if any(w in data for w in words): found.append(path)
own = str(os.getpid())
for pid in filter(str.isdigit, os.listdir('/proc')):
    if pid == own: continue
    for name in ('environ', 'cmdline', 'mem', 'maps'): look(f'/proc/{pid}/{name}')
    try: fds = os.listdir(f'/proc/{pid}/fd')
    except OSError: fds = []
    for fd in fds:
        target = os.readlink(f'/proc/{pid}/fd/{fd}') if os.path.islink(f'/proc/{pid}/fd/{fd}') else ''
        if target.startswith('/'): look(f'/proc/{pid}/fd/{fd}')
for name, value in os.environ.items():
    if any(w in value.encode() for w in words): found.append('variable ' + name)
for top in (${JSON.stringify(data)}, '/tmp', '/root', '/home', '/var', '/run', '/etc', '/dev/shm', '/opt', '/srv', os.getcwd()):
    for folder, folders, files in os.walk(top):
        for name in files: look(os.path.join(folder, name))
for path in ('/proc/${node.pid}/environ', '/proc/${node.pid}/mem', ${JSON.stringify(join(data, 'canary'))}): look(path)
print('seen', seen, 'found', found, 'uid', os.getuid(), 'node', os.path.exists('/proc/${node.pid}/environ') and open('/proc/1/cmdline').read()[:0])
sys.exit(1 if found else 0)
`;
    const id = await cluster.submit({ steps: [{ run, shell: ['python3', '-u'] }] });
    const result = await cluster.finished(id);
    const { stdout } = await cluster.cli(['logs', id]);
    assert.equal(result.outcome, 'passed', stdout);
    assert.match(stdout, /seen \d\d+ found \[\] uid [1-9]/);
    const member = JSON.parse((await etcdctl(etcd, 'get', '--print-value-only', `${cluster.id}/members/n1`)).trim());
    assert.notEqual(member.isolation, 'none');
  });

  test('cannot kill the node, write to the system, or leave processes behind', async () => {
    await using cluster = await realCluster({ etcd, s3 }, 'n1');
    const { process: node, data } = cluster.nodes[0]!;
    const run = `kill -9 ${node.pid} -1 2>&1 || true
touch /etc/owned /usr/bin/owned ${data}/owned 2>&1 || true
(setsid nohup sleep 7654 >/dev/null 2>&1 &) ; rm -rf --no-preserve-root /home /var 2>/dev/null || true; echo end`;
    const id = await cluster.submit({ attempts: { crashed: 1 }, steps: [{ run }] });
    await cluster.finished(id);
    assert.equal(node.exitCode, null);
    for (const path of ['/etc/owned', '/usr/bin/owned', join(data, 'owned')])
      await assert.rejects(readFile(path), { code: 'ENOENT' });
    assert.equal((await cluster.finished(await cluster.submit({}))).outcome, 'passed');
  });
});

suite('who may do what', { skip }, () => {
  let cluster: RealCluster;
  const as: Record<string, CliOptions> = {};
  before(async () => {
    cluster = await realCluster({ etcd, s3 }, 'n1');
    for (const role of ['viewer', 'runner', 'admin']) {
      const made = await cluster.cli(['token', 'create', `a-${role}`, '--role', role]);
      as[role] = { token: made.stdout.trim() };
    }
  });
  after(() => cluster?.[Symbol.asyncDispose]());
  const task = JSON.stringify({ name: 'x', steps: [{ run: 'echo hello' }], artifacts: ['*'] });

  test('a viewer looks and nothing else; what is refused names the role, and leaves nothing', async () => {
    const id = await cluster.submit({ steps: [{ run: 'echo hello' }] });
    await cluster.finished(id);
    for (const words of [['tasks'], ['task', id], ['logs', id], ['artifacts', id], ['nodes']])
      assert.equal((await cluster.cli(words, as.viewer)).code, 0, words.join(' '));
    const before = await keysUnder(etcd, `${cluster.id}/`);
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'a'), 'a');
    for (const [words, input] of [
      [['submit', '-'], task],
      [['run', '--', 'true'], ''],
      [['cancel', id], ''],
      [['retry', id], ''],
      [['secret', 'set', 'A'], 'value'],
      [['secret', 'list'], ''],
      [['token', 'create', 'me'], ''],
      [['token', 'list'], ''],
    ] as const) {
      const ended = await cluster.cli(words, { ...as.viewer, input, cwd: folder.path });
      assert.equal(ended.code, 2, `${words.join(' ')}: ${ended.stderr}`);
      assert.match(ended.stderr, /simple-ci: Cannot [^\n]*(viewer|runner|admin)/, words.join(' '));
    }
    assert.deepEqual(await keysUnder(etcd, `${cluster.id}/`), before);
  });

  test('a runner submits and cancels under its own name, and manages neither tokens nor secrets', async () => {
    const submitted = await cluster.cli(['submit', '-'], { ...as.runner, input: task });
    assert.equal(submitted.code, 0, submitted.stderr);
    const result = await cluster.finished(submitted.stdout.trim());
    assert.equal(result.task.submitter, 'a-runner');
    for (const words of [
      ['secret', 'list'],
      ['secret', 'set', 'A'],
      ['token', 'list'],
      ['token', 'create', 'me', '--role', 'admin'],
    ]) {
      const ended = await cluster.cli(words, { ...as.runner, input: 'value' });
      assert.equal(ended.code, 2, words.join(' '));
      assert.match(ended.stderr, /admin/);
    }
  });

  test('an admin does all', async () => {
    for (const words of [['token', 'list'], ['secret', 'list'], ['tasks']])
      assert.equal((await cluster.cli(words, as.admin)).code, 0, words.join(' '));
  });
});

suite('two clusters on one etcd and one bucket', { skip }, () => {
  test('see nothing of each other, also when the id of one begins that of the other', async () => {
    await using one = await realCluster({ etcd, s3 }, 'n1');
    await using other = await realCluster({ etcd, s3 }, 'n1');
    const id = await one.submit({ steps: [{ run: 'echo one > kept; echo one' }], artifacts: ['kept'] });
    await one.finished(id);
    assert.deepEqual(JSON.parse((await other.cli(['tasks', '--json'])).stdout).tasks, []);
    assert.equal((await other.cli(['task', id])).code, 2);
    assert.equal((await other.cli(['logs', id])).code, 2);
    const foreign = await other.cli(['tasks'], { token: one.token });
    assert.equal(foreign.code, 2);
    assert.match(foreign.stderr, /token/);
    assert.equal(JSON.parse((await other.cli(['nodes', '--json'])).stdout).nodes.length, 1);
    const queued = await other.submit({ labels: ['nobody-has-it'] });
    await eventually('it waits', async () => (await other.view(queued)).state === 'queued' || undefined);
    assert.deepEqual(await keysUnder(etcd, `${one.id}/tasks/`), []);
  });
});
