import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { runProcess } from '../../node-runtime/system/subprocess.ts';
import { checkOut, prepareCheckout } from '../../node-runtime/workspace/check-out-snapshot.ts';
import type { SnapshotManifest } from '../../shared/api.ts';
import { isCiError } from '../../shared/errors.ts';
import { GitWorkspace, runIn, SnapshotReceiver, walk } from '../support/git-workspace.ts';

/** A workspace, and the manifests of `edits` snapshots of it, each sent against the one before. */
async function chainOf(user: GitWorkspace, cluster: SnapshotReceiver, edits: number): Promise<SnapshotManifest[]> {
  const chain: SnapshotManifest[] = [];
  for (let i = 0; i < edits; i++) {
    user.write('edited', `${'same line\n'.repeat(500)}edit ${i}\n`);
    chain.push(await cluster.receive(await user.snapshot(), user.env, chain.at(-1)));
  }
  return chain;
}

function packFolders(cluster: SnapshotReceiver): string[] {
  const folder = join(cluster.folder, 'node/packs');
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

describe('a node’s cache of packs', () => {
  test('fetches a pack once, however many attempts want it at once', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    const [, , newest] = await chainOf(user, cluster, 3);
    const cache = cluster.cache();
    const folders = await Promise.all([1, 2, 3, 4].map(() => cluster.checkOut(newest!, cache)));
    for (const folder of folders) assert.deepEqual(walk(folder), walk(user.root));
    assert.equal(cluster.objects.operations.filter(({ operation }) => operation === 'get').length, 3);
  });

  test('may be shared by several nodes of a machine', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    const [, newest] = await chainOf(user, cluster, 2);
    const folders = await Promise.all([1, 2, 3].map(() => cluster.checkOut(newest!, cluster.cache())));
    for (const folder of folders) assert.deepEqual(walk(folder), walk(user.root));
  });

  test('fetches again what was deleted under its hands', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    const [manifest] = await chainOf(user, cluster, 1);
    const cache = cluster.cache();
    await cluster.checkOut(manifest!, cache);
    rmSync(join(cluster.folder, 'node'), { recursive: true });
    assert.deepEqual(walk(await cluster.checkOut(manifest!, cache)), walk(user.root));
  });

  test('says that a pack is gone', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    const [manifest] = await chainOf(user, cluster, 1);
    cluster.objects.objects.clear();
    await assert.rejects(cluster.checkOut(manifest!), (error: unknown) => isCiError(error, 'gone'));
  });

  test('uses no pack that is not what its name says, and keeps nothing of it', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    const [manifest] = await chainOf(user, cluster, 1);
    const key = cluster.objectKeys.pack(manifest!.packs[0]!.id);
    const bytes = Buffer.from(cluster.objects.objects.get(key)!.bytes);
    bytes[bytes.length - 1]! ^= 1;
    cluster.objects.objects.set(key, { bytes, modified: 0 });
    await assert.rejects(
      cluster.checkOut(manifest!),
      (error: unknown) => isCiError(error, 'invalid') && /hash/.test(error.message),
    );
    cluster.objects.objects.set(key, { bytes: bytes.subarray(1), modified: 0 });
    await assert.rejects(
      cluster.checkOut(manifest!),
      (error: unknown) => isCiError(error, 'invalid') && /bytes/.test(error.message),
    );
    assert.deepEqual(packFolders(cluster), []);
    assert.deepEqual(readdirSync(join(cluster.folder, 'node')), ['packs']);
  });

  test('gives up at its signal without spoiling it for another', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    const [manifest] = await chainOf(user, cluster, 1);
    const reached = Promise.withResolvers<void>();
    cluster.objects.fault = (_, __, signal) => {
      if (signal === neverAborted) return;
      reached.resolve();
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const cache = cluster.cache();
    const stop = new AbortController();
    const first = cache.hold(manifest!, stop.signal);
    await reached.promise;
    const second = cluster.checkOut(manifest!, cache);
    stop.abort(new Error('enough'));
    await assert.rejects(first, /enough/);
    assert.deepEqual(walk(await second), walk(user.root));
  });

  test('deletes the longest unused beyond its size, but nothing that is in use', async () => {
    await using cluster = new SnapshotReceiver();
    const manifests: SnapshotManifest[] = [];
    for (const name of ['a', 'b', 'c']) {
      using user = new GitWorkspace();
      user.write(name, name.repeat(1000));
      manifests.push(await cluster.receive(await user.snapshot(), user.env));
    }
    const ids = manifests.map(({ packs }) => packs[0]!.id);
    const cache = cluster.cache({ maxBytes: 1 });
    const held = await cache.hold(manifests[0]!, neverAborted);
    for (const manifest of manifests.slice(1)) await cluster.checkOut(manifest, cache);
    for (const id of ids) utimesSync(join(cluster.folder, 'node/packs', id), 1, 1);
    await (await cache.hold(manifests[2]!, neverAborted))[Symbol.asyncDispose]();
    // The second is old and in no use; the first is held; the third was used just now.
    assert.deepEqual(packFolders(cluster), [ids[0]!, ids[2]!].sort());
    utimesSync(join(cluster.folder, 'node/packs', ids[0]!), 1, 1);
    await held[Symbol.asyncDispose]();
    assert.deepEqual(packFolders(cluster), [ids[2]!]);
  });
});

describe('a checkout', () => {
  test('has copies of its own packs only', async () => {
    await using cluster = new SnapshotReceiver();
    using mine = new GitWorkspace();
    using other = new GitWorkspace();
    mine.write('a');
    other.write('secret');
    const cache = cluster.cache();
    const foreign = await cluster.receive(await other.snapshot(), other.env);
    await cluster.checkOut(foreign, cache);
    const checkout = await cluster.checkOut(await cluster.receive(await mine.snapshot(), mine.env), cache);
    assert.throws(() => mine.gitIn(checkout, 'cat-file', '-t', foreign.commit));
    const packs = join(checkout, '.git/objects/pack');
    for (const name of readdirSync(packs)) writeFileSync(join(packs, name), 'spoilt');
    assert.deepEqual(walk(await cluster.checkOut(foreign, cache)), walk(other.root));
  });

  test('of a hostile tree writes nothing outside of the workspace', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    const outside = join(cluster.folder, 'outside');
    mkdirSync(outside);
    const blob = user.git('hash-object', '-w', '--stdin');
    const tree = (...entries: string[]) => {
      const file = join(user.folder, 'tree');
      writeFileSync(file, Buffer.concat(entries.map(entry => treeEntry(entry))));
      return user.git('hash-object', '-t', 'tree', '-w', '--literally', file);
    };
    const link = join(user.folder, 'link');
    writeFileSync(link, outside);
    const toOutside = user.git('hash-object', '-w', link);
    const inner = tree(`100644 evil ${blob}`);
    const hooks = tree(`100755 post-checkout ${blob}`);
    const hostile = [
      tree(`120000 a ${toOutside}`, `40000 a ${inner}`),
      tree(`40000 .. ${inner}`),
      tree(`40000 .git ${tree(`40000 hooks ${hooks}`)}`),
      tree(`40000 .GIT ${inner}`),
      tree(`40000 git~1 ${inner}`),
      tree(`100644 ../outside/evil ${blob}`),
      tree(`100644 ${outside}/evil ${blob}`),
      tree(`100644 .git/evil ${blob}`),
    ];
    for (const id of hostile) {
      const commit = user.git('commit-tree', '-m', 'hostile', id);
      const manifest = await storePackOf(user, cluster, commit, id);
      const workspace = join(cluster.folder, commit);
      mkdirSync(workspace);
      await using packs = await cluster.cache().hold(manifest, neverAborted);
      await prepareCheckout(manifest, packs, workspace);
      await checkOut(manifest, runIn(workspace), cluster.env.PATH).catch(error =>
        assert.ok(isCiError(error, 'invalid'), String(error)),
      );
      assert.deepEqual(readdirSync(outside), []);
      assert.equal(existsSync(join(workspace, '.git/evil')), false);
      assert.equal(existsSync(join(workspace, '.git/hooks')), false);
      assert.equal(existsSync(join(cluster.folder, 'evil')), false);
    }
  });
});

function treeEntry(entry: string): Buffer {
  const [, mode, name, id] = /^(\d+) (.*) ([0-9a-f]{40})$/.exec(entry)!;
  return Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(id!, 'hex')]);
}

/** Packs a commit as anybody could by hand. */
async function storePackOf(
  user: GitWorkspace,
  cluster: SnapshotReceiver,
  commit: string,
  tree: string,
): Promise<SnapshotManifest> {
  const { stdout } = await runProcess({
    argv: ['git', 'pack-objects', '--revs', '--stdout', '--quiet'],
    cwd: user.root,
    env: user.env,
    input: `${commit}\n`,
    signal: neverAborted,
  });
  const id = createHash('sha256').update(stdout).digest('hex');
  await cluster.objects.put(cluster.objectKeys.pack(id), stdout, { signal: neverAborted });
  return { v: 1, commit, tree, shallow: [], packs: [{ id, bytes: stdout.length }], created: 0 };
}
