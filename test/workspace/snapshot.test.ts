import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GitWorkspace, SnapshotReceiver, walk } from '../support/git-workspace.ts';

describe('a snapshot', () => {
  test('of a plain folder is the same tree on the node', async () => {
    using user = new GitWorkspace();
    await using cluster = new SnapshotReceiver();
    user.write('a.txt', 'one\r\ntwo\n');
    user.write('deep/er/b.bin', Buffer.from([0, 255, 13, 10]));
    const snapshot = await user.snapshot();
    const checkout = await cluster.checkOut(await cluster.receive(snapshot, user.env));
    assert.deepEqual(walk(checkout), walk(user.root));
    assert.equal(user.gitIn(checkout, 'rev-parse', 'HEAD^{tree}'), snapshot.tree);
    assert.equal(user.gitIn(checkout, 'status', '--porcelain'), '');
  });

  test('of a repository has staged, unstaged and untracked files, and the real HEAD as its parent', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    for (const name of ['kept', 'staged', 'unstaged', 'deleted', 'staged-deletion']) user.write(name);
    user.commitAll();
    const head = user.commitAll('Second');
    user.write('staged', 'new\n');
    user.git('add', 'staged');
    user.write('unstaged', 'new\n');
    user.write('untracked');
    user.remove('deleted');
    user.git('rm', '--quiet', 'staged-deletion');
    const snapshot = await user.snapshot();
    const checkout = await cluster.checkOut(await cluster.receive(snapshot, user.env));
    assert.deepEqual(walk(checkout), walk(user.root));
    assert.equal(user.gitIn(checkout, 'rev-parse', 'HEAD~1'), head);
    assert.deepEqual(user.gitIn(checkout, 'diff', '--name-status', 'HEAD~1', 'HEAD').split('\n'), [
      'D\tdeleted',
      'M\tstaged',
      'D\tstaged-deletion',
      'M\tunstaged',
      'A\tuntracked',
    ]);
  });

  test('taken after a small edit needs a small pack against the one before', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    for (let i = 0; i < 200; i++) user.write(`src/${i % 10}/${i}.txt`, `${i}\n`.repeat(200));
    user.commitAll();
    const first = await cluster.receive(await user.snapshot(), user.env);
    user.write('src/3/3.txt', `${'3\n'.repeat(100)}edit\n${'3\n'.repeat(100)}`);
    const second = await cluster.receive(await user.snapshot(), user.env, first);
    assert.equal(second.packs.length, 2);
    assert.ok(second.packs[1]!.bytes < 1500, `${second.packs[1]!.bytes} bytes`);
    assert.deepEqual(walk(await cluster.checkOut(second)), walk(user.root));
  });
});
