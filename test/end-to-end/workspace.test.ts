import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { promisify } from 'node:util';
import { type CephS3, startCeph, whyNoCeph } from '../support/ceph-server.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { keysUnder } from '../support/etcdctl.ts';
import { realCluster } from '../support/real-cluster.ts';
import { temporaryFolder } from '../support/simple-ci.ts';

const execute = promisify(execFile);

suite('a workspace on etcd and S3, on nodes that share no disk', { skip: whyNoCeph() }, () => {
  let etcd: EtcdServer;
  let s3: CephS3;
  before(async () => {
    [etcd, s3] = await Promise.all([startEtcd(), startCeph()]);
  });
  after(async () => {
    await etcd?.[Symbol.asyncDispose]();
    await s3?.[Symbol.asyncDispose]();
  });

  test('a task sees exactly what lies in the folder, and after an edit next to nothing is sent to another node', async () => {
    await using folder = await temporaryFolder();
    const root = folder.path;
    await dirtyRepository(root);
    await using cluster = await realCluster({ etcd, s3 });
    const first = await cluster.add('first', '--labels', 'first');
    await cluster.add('second', '--labels', 'second');
    const run = (label: string) =>
      cluster.cli(['run', '--allow-secrets', '-l', label, '--', 'python3', '-c', MANIFEST], { cwd: root });

    const here = await manifest(root);
    const one = await run('first');
    assert.equal(one.code, 0, one.stderr);
    assert.deepEqual(linesOf(one.stdout), here);
    assert.match(one.stderr, /attempt 1 on first/);

    await writeFile(join(root, 'src/changed.txt'), 'changed once more\n');
    const two = await run('second');
    assert.equal(two.code, 0, two.stderr);
    assert.deepEqual(linesOf(two.stdout), await manifest(root));
    assert.match(two.stderr, /attempt 1 on second/);
    const sent = /; (\d+) bytes sent of what is new/.exec(two.stderr);
    assert.ok(sent && Number(sent[1]) < 10_000, two.stderr);

    const again = await run('first');
    assert.match(again.stderr, /; nothing is new/);
    assert.deepEqual(linesOf(again.stdout), await manifest(root));

    // The disk of a node is lost: what it fetches again is the same.
    await rm(join(first.data, 'cache'), { recursive: true, force: true });
    const afterLoss = await run('first');
    assert.equal(afterLoss.code, 0, afterLoss.stderr);
    assert.deepEqual(linesOf(afterLoss.stdout), await manifest(root));
    assert.deepEqual(await status(root), STATUS_BEFORE, 'the user’s own index and files are as they were');
  });

  test('a folder that is no repository runs the same way', async () => {
    await using folder = await temporaryFolder();
    await mkdir(join(folder.path, 'deep/er'), { recursive: true });
    await writeFile(join(folder.path, 'deep/er/ünïcode 名前.txt'), randomBytes(2000));
    await writeFile(join(folder.path, 'run.sh'), 'echo hello from $0\n', { mode: 0o755 });
    await using cluster = await realCluster({ etcd, s3 }, 'only');
    const run = await cluster.cli(['run', '--', 'python3', '-c', MANIFEST], { cwd: folder.path });
    assert.equal(run.code, 0, run.stderr);
    assert.deepEqual(linesOf(run.stdout), await manifest(folder.path));
  });

  test('a snapshot that is not there makes a task invalid, and says so', async () => {
    await using cluster = await realCluster({ etcd, s3 }, 'only');
    const commit = 'a'.repeat(40);
    const id = await cluster.submit({ source: { type: 'snapshot', commit, tree: commit } });
    const result = await cluster.finished(id);
    assert.equal(result.outcome, 'invalid');
    assert.match(result.message, new RegExp(`^Cannot .*${commit}`));
  });

  test('an S3 that cannot be reached refuses the workspace, and nothing is submitted', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'a'), 'a');
    await using cluster = await realCluster({ etcd, s3 }, 'only');
    // As a user meets it whose machine cannot reach what the cluster's nodes can.
    const env = { HTTP_PROXY: 'http://127.0.0.1:1', NODE_USE_ENV_PROXY: '1', NO_PROXY: '' };
    const node = new URL(cluster.nodes[0]!.address).host;
    const ended = await cluster.cli(['run', '--', 'true'], { cwd: folder.path, env: { ...env, NO_PROXY: node } });
    assert.equal(ended.code, 3, ended.stderr);
    assert.match(ended.stderr, /Cannot .*(send|upload|store)/);
    assert.deepEqual(
      (await keysUnder(etcd, `${cluster.id}/`)).filter(key => /\/(tasks|completed)\//.test(key)),
      [],
    );
  });
});

/** What git says of the repository below, before and after. */
const STATUS_BEFORE = [
  ' D gone.txt',
  ' M src/changed.txt',
  'A  src/staged.txt',
  'AM src/staged-then-edited.txt',
  '?? "name with \\"quotes\\" and\\ttab"',
  '?? dangling',
  '?? link',
  '?? tool.sh',
  '?? "\\303\\274n\\303\\257c\\303\\266de \\345\\220\\215\\345\\211\\215.txt"',
].sort();

async function status(root: string): Promise<string[]> {
  const { stdout } = await execute('git', ['status', '--porcelain'], { cwd: root });
  return stdout
    .split('\n')
    .filter(line => line !== '')
    .sort();
}

/** Everything that can be uncommitted. */
async function dirtyRepository(root: string): Promise<void> {
  const git = (...args: string[]) =>
    execute('git', ['-c', 'user.name=T', '-c', 'user.email=t@example.org', ...args], { cwd: root });
  await mkdir(join(root, 'src'));
  for (const name of ['gone.txt', 'kept.txt', 'src/changed.txt']) await writeFile(join(root, name), `${name}\n`);
  await writeFile(join(root, '.gitignore'), 'ignored/\n');
  await writeFile(join(root, 'large.bin'), randomBytes(300_000));
  await git('init', '-q');
  await git('add', '-A');
  await git('commit', '-qm', 'first');
  await rm(join(root, 'gone.txt'));
  await writeFile(join(root, 'src/changed.txt'), 'changed\n');
  await writeFile(join(root, 'src/staged.txt'), 'staged\n');
  await writeFile(join(root, 'src/staged-then-edited.txt'), 'staged\n');
  await git('add', 'src/staged.txt', 'src/staged-then-edited.txt');
  await writeFile(join(root, 'src/staged-then-edited.txt'), 'edited\n');
  await writeFile(join(root, 'tool.sh'), '#!/bin/sh\n');
  await chmod(join(root, 'tool.sh'), 0o755);
  await symlink('src/changed.txt', join(root, 'link'));
  await symlink('/nowhere/at/all', join(root, 'dangling'));
  await writeFile(join(root, 'ünïcöde 名前.txt'), 'ü');
  await writeFile(join(root, 'name with "quotes" and\ttab'), 'q');
  await mkdir(join(root, 'ignored'));
  await writeFile(join(root, 'ignored/not-sent'), 'no');
}

/** Each file with its kind, whether it can be executed, and the hash of what is in it. */
const MANIFEST = `
import os, hashlib, stat
for folder, folders, files in os.walk(b'.'):
    folders[:] = [f for f in folders if f not in (b'.git', b'ignored')]
    for name in files + [f for f in folders if os.path.islink(os.path.join(folder, f))]:
        path = os.path.join(folder, name)
        s = os.lstat(path)
        link = stat.S_ISLNK(s.st_mode)
        data = os.readlink(path) if link else open(path, 'rb').read()
        kind = 'link' if link else 'exec' if s.st_mode & 0o100 else 'file'
        print('=', hashlib.sha256(data).hexdigest(), kind, path[2:].hex(), flush=True)
`;

function linesOf(stdout: string): string[] {
  return stdout
    .split('\n')
    .filter(line => line.startsWith('= '))
    .sort();
}

async function manifest(root: string): Promise<string[]> {
  const lines: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for (const name of await readdir(join(root, folder))) {
      const path = folder === '' ? name : `${folder}/${name}`;
      if (path === '.git' || path === 'ignored') continue;
      const status = await lstat(join(root, path));
      if (status.isDirectory()) {
        await walk(path);
        continue;
      }
      const isLink = status.isSymbolicLink();
      const data = isLink ? await readlink(join(root, path)) : await readFile(join(root, path));
      const kind = isLink ? 'link' : (status.mode & 0o100) !== 0 ? 'exec' : 'file';
      lines.push(`= ${createHash('sha256').update(data).digest('hex')} ${kind} ${Buffer.from(path).toString('hex')}`);
    }
  };
  await walk('');
  return lines.sort();
}
