import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { uploadSnapshot } from '../../node-runtime/workspace/upload-snapshot.ts';
import { isCiError } from '../../shared/errors.ts';
import { GitWorkspace, SnapshotReceiver, walk } from '../support/git-workspace.ts';

async function upload(user: GitWorkspace, cluster: SnapshotReceiver) {
  const snapshot = await user.snapshot();
  const result = await uploadSnapshot(snapshot, cluster.transport, { env: user.env, signal: neverAborted });
  return { ...result, commit: snapshot.commit, manifest: cluster.manifests.get(snapshot.commit)! };
}

function repositoryOf(files: number): GitWorkspace {
  const user = GitWorkspace.repository();
  for (let i = 0; i < files; i++) user.write(`src/${i % 10}/${i}.txt`, `line ${i}\n`.repeat(100));
  user.commitAll();
  return user;
}

describe('uploadSnapshot()', () => {
  test('sends all at first, nothing for what is there, and next to nothing after a small edit', async () => {
    using user = repositoryOf(300);
    await using cluster = new SnapshotReceiver();
    const first = await upload(user, cluster);
    assert.equal(first.packs, 1);
    assert.equal((await upload(user, cluster)).sentBytes, 0);
    user.write('src/3/3.txt', `${'line 3\n'.repeat(50)}edit\n${'line 3\n'.repeat(50)}`);
    const edited = await upload(user, cluster);
    assert.ok(edited.sentBytes > 0 && edited.sentBytes < 1500, `${edited.sentBytes} bytes`);
    assert.equal(edited.packs, 2);
    assert.deepEqual(walk(await cluster.checkOut(edited.manifest)), walk(user.root));
  });

  test('sends next to nothing after an edit in a folder that is no repository', async () => {
    using user = new GitWorkspace();
    await using cluster = new SnapshotReceiver();
    for (let i = 0; i < 300; i++) user.write(`src/${i % 10}/${i}.txt`, `line ${i}\n`.repeat(100));
    await upload(user, cluster);
    user.write('src/3/3.txt', 'edit\n');
    const edited = await upload(user, cluster);
    assert.ok(edited.sentBytes < 1500, `${edited.sentBytes} bytes`);
    assert.deepEqual(walk(await cluster.checkOut(edited.manifest)), walk(user.root));
  });

  test('sends next to nothing when a folder is moved or a file is renamed', async () => {
    using user = repositoryOf(300);
    await using cluster = new SnapshotReceiver();
    user.write('large', randomBytes(100_000));
    await upload(user, cluster);
    mkdirSync(join(user.root, 'moved'));
    renameSync(join(user.root, 'src/3'), join(user.root, 'moved/3'));
    renameSync(join(user.root, 'large'), join(user.root, 'moved/large'));
    const moved = await upload(user, cluster);
    assert.ok(moved.sentBytes < 1500, `${moved.sentBytes} bytes`);
    assert.deepEqual(walk(await cluster.checkOut(moved.manifest)), walk(user.root));
  });

  test('sends next to nothing after edits of files with names of every kind', async () => {
    using user = repositoryOf(20);
    await using cluster = new SnapshotReceiver();
    const names = ['new\nline', ' lead', 'ünïcode', '"quoted"', 'deep/er/\n'];
    const noise = randomBytes(5000).toString('hex');
    for (const name of names) user.write(name, `${name}${noise}`);
    await upload(user, cluster);
    for (const name of names) user.write(name, `${name}${noise} edited\n`);
    const edited = await upload(user, cluster);
    assert.equal(edited.packs, 2);
    assert.deepEqual(walk(await cluster.checkOut(edited.manifest)), walk(user.root));
  });

  test('goes on against an earlier snapshot after commits, and the node sees the new HEAD', async () => {
    using user = repositoryOf(50);
    await using cluster = new SnapshotReceiver();
    await upload(user, cluster);
    user.write('new');
    const head = user.commitAll('More');
    const after = await upload(user, cluster);
    assert.equal(after.packs, 2);
    const checkout = await cluster.checkOut(after.manifest);
    assert.equal(user.gitIn(checkout, 'rev-parse', 'HEAD~1'), head);
    assert.equal(user.gitIn(checkout, 'diff', '--stat', 'HEAD~1'), '');
    user.gitIn(checkout, 'fsck', '--full', '--no-dangling');
  });

  test('goes on against an earlier snapshot after a repository inside the workspace has gone', async () => {
    using user = repositoryOf(20);
    await using cluster = new SnapshotReceiver();
    user.write('inner/a');
    user.gitIn(join(user.root, 'inner'), 'init', '--quiet');
    await upload(user, cluster);
    user.remove('inner');
    const after = await upload(user, cluster);
    assert.equal(after.packs, 2);
    assert.deepEqual(walk(await cluster.checkOut(after.manifest)), walk(user.root));
  });

  test('starts over with a full pack when the chain of packs has become long', async () => {
    using user = repositoryOf(20);
    await using cluster = new SnapshotReceiver();
    const packs: number[] = [];
    for (let i = 0; i < 23; i++) {
      user.write('src/3/3.txt', `edit ${i}\n`);
      packs.push((await upload(user, cluster)).packs);
    }
    assert.deepEqual(packs, [...Array.from({ length: 20 }, (_, i) => i + 1), 1, 2, 3]);
    const newest = [...cluster.manifests.values()].at(-1)!;
    assert.deepEqual(walk(await cluster.checkOut(newest)), walk(user.root));
  });

  test('sends all again when the cluster has lost what it builds on', async () => {
    using user = repositoryOf(20);
    await using cluster = new SnapshotReceiver();
    await upload(user, cluster);
    cluster.manifests.clear();
    user.write('a');
    assert.equal((await upload(user, cluster)).packs, 1);
  });

  test('sends all again when retention takes a pack between question and answer', async () => {
    using user = repositoryOf(20);
    await using cluster = new SnapshotReceiver();
    const first = await upload(user, cluster);
    await cluster.objects.deleteMany([cluster.objectKeys.pack(first.manifest.packs[0]!.id)], { signal: neverAborted });
    user.write('a');
    const second = await upload(user, cluster);
    assert.equal(second.packs, 1);
    assert.deepEqual(walk(await cluster.checkOut(second.manifest)), walk(user.root));
  });

  test('sends all again when the cache here is lost', async () => {
    using user = repositoryOf(20);
    await using cluster = new SnapshotReceiver();
    await upload(user, cluster);
    rmSync(user.cacheDir, { recursive: true });
    user.write('a');
    assert.equal((await upload(user, cluster)).packs, 1);
  });

  test('tries again when the store answers 503, and not when it says 403', async () => {
    using user = repositoryOf(5);
    await using cluster = new SnapshotReceiver();
    cluster.uploadFailures.push(503, 503);
    assert.equal((await upload(user, cluster)).packs, 1);
    user.write('a');
    cluster.uploadFailures.push(403);
    await assert.rejects(
      upload(user, cluster),
      (error: unknown) => isCiError(error, 'forbidden') && /403/.test(error.message),
    );
  });

  test('sends the same workspace twice at once, whoever is done first', async () => {
    using user = repositoryOf(20);
    await using cluster = new SnapshotReceiver();
    const snapshot = await user.snapshot();
    const first = Promise.withResolvers<unknown>();
    const options = { env: user.env, signal: neverAborted };
    const second = uploadSnapshot(snapshot, cluster.transport, {
      ...options,
      beforeSending: async () => {
        first.resolve(uploadSnapshot(snapshot, cluster.transport, options));
        await first.promise;
      },
    });
    assert.equal((await second).packs, 1);
    assert.deepEqual(readdirSync(join(snapshot.scratch.folder, 'packs')), []);
  });

  test('deletes what an upload that was killed has left behind', async () => {
    using user = repositoryOf(20);
    await using cluster = new SnapshotReceiver();
    const { scratch } = await user.snapshot();
    const [old, recent] = ['send-old', 'send-recent'].map(name => join(scratch.folder, 'packs', name));
    for (const folder of [old!, recent!]) mkdirSync(folder, { recursive: true });
    utimesSync(old!, 0, 0);
    await upload(user, cluster);
    assert.deepEqual([existsSync(old!), existsSync(recent!)], [false, true]);
  });

  test('sends nothing when it is told to stop, and leaves no pack behind', async () => {
    using user = repositoryOf(5);
    await using cluster = new SnapshotReceiver();
    const snapshot = await user.snapshot();
    const beforeSending = ({ bytes }: { bytes: number }) => {
      throw new Error(`no to ${bytes > 0}`);
    };
    const options = { env: user.env, signal: neverAborted, beforeSending };
    await assert.rejects(uploadSnapshot(snapshot, cluster.transport, options), /no to true/);
    assert.equal(cluster.objects.objects.size, 0);
    const packs = join(snapshot.scratch.folder, 'packs');
    assert.deepEqual(existsSync(packs) ? readdirSync(packs) : [], []);
  });
});
