import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Snapshot } from '../../node-runtime/workspace/take-snapshot.ts';
import { GitWorkspace, SnapshotReceiver, walk } from '../support/git-workspace.ts';

/** Takes a snapshot, has a node check it out, and expects the same files there. Gives the folder of the checkout. */
async function expectSameOnNode(user: GitWorkspace, cluster: SnapshotReceiver, expected = walk(user.root)) {
  const snapshot = await user.snapshot();
  const checkout = await cluster.checkOut(await cluster.receive(snapshot, user.env));
  assert.deepEqual(walk(checkout), expected);
  assert.equal(user.gitIn(checkout, 'rev-parse', 'HEAD^{tree}'), snapshot.tree);
  return { snapshot, checkout };
}

/** The paths of a snapshot's tree. */
function pathsOf({ scratch, tree }: Snapshot): string[] {
  const git = ['--git-dir', scratch.gitDir, '-c', 'core.quotePath=false', 'ls-tree', '-r', '--name-only', tree];
  return execFileSync('git', git, { encoding: 'utf8' }).trim().split('\n').filter(Boolean);
}

describe('the tree on the node is the same', () => {
  test('for a plain folder', async () => {
    using user = new GitWorkspace();
    await using cluster = new SnapshotReceiver();
    user.write('a.txt', 'one\r\ntwo\n');
    user.write('deep/er/b.bin', Buffer.from([0, 255, 13, 10]));
    const { checkout } = await expectSameOnNode(user, cluster);
    assert.equal(user.gitIn(checkout, 'status', '--porcelain'), '');
  });

  test('for an empty folder', async () => {
    using user = new GitWorkspace();
    await using cluster = new SnapshotReceiver();
    const { snapshot } = await expectSameOnNode(user, cluster);
    assert.equal(snapshot.files, 0);
  });

  test('with staged, unstaged and untracked changes and deletions, on top of the real HEAD', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    for (const name of ['kept', 'staged', 'unstaged', 'deleted', 'staged-deletion', 'both']) user.write(name);
    user.commitAll();
    const head = user.commitAll('Second');
    user.write('staged', 'new\n');
    user.write('both', 'staged\n');
    user.git('add', 'staged', 'both');
    user.write('both', 'worktree\n');
    user.write('unstaged', 'new\n');
    user.write('untracked');
    user.remove('deleted');
    user.git('rm', '--quiet', 'staged-deletion');
    const { checkout } = await expectSameOnNode(user, cluster);
    assert.equal(user.gitIn(checkout, 'rev-parse', 'HEAD~1'), head);
    assert.deepEqual(user.gitIn(checkout, 'diff', '--name-status', 'HEAD~1', 'HEAD').split('\n'), [
      'M\tboth',
      'D\tdeleted',
      'M\tstaged',
      'D\tstaged-deletion',
      'M\tunstaged',
      'A\tuntracked',
    ]);
    assert.equal(user.gitIn(checkout, 'log', '--format=%s'), 'Snapshot of the workspace\nSecond');
  });

  test('with modes and symbolic links, dangling ones too', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    user.write('run.sh', '#!/bin/sh\n');
    chmodSync(join(user.root, 'run.sh'), 0o755);
    symlinkSync('run.sh', join(user.root, 'link'));
    symlinkSync('/nowhere/at all', join(user.root, 'dangling'));
    symlinkSync('..', join(user.root, 'upward'));
    user.commitAll();
    user.write('was-plain');
    chmodSync(join(user.root, 'run.sh'), 0o644);
    await expectSameOnNode(user, cluster);
  });

  test('with names of every kind', async () => {
    using user = new GitWorkspace();
    await using cluster = new SnapshotReceiver();
    const names = [
      '-rf',
      ' lead',
      'trail ',
      'ünïcode-日本',
      'e\u0301',
      'new\nline',
      '"quoted"',
      "it's",
      'a\tb',
      '*',
      '[x]',
    ];
    for (const name of [...names, ':(top)x', 'back\\slash', '#comment', '!bang', '.hidden', '.gitfoo', 'sub dir/ö/x'])
      user.write(name);
    writeFileSync(Buffer.concat([Buffer.from(`${user.root}/`), Buffer.from([0x66, 0xff, 0xfe])]), 'not UTF-8\n');
    await expectSameOnNode(user, cluster);
  });

  test('when attributes would convert files, and no filter is run', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    user.git('config', 'core.autocrlf', 'true');
    user.git('config', 'filter.evil.clean', `touch ${user.folder}/canary; cat`);
    user.git('config', 'filter.evil.smudge', `touch ${user.folder}/canary; cat`);
    user.git('config', 'filter.evil.required', 'true');
    user.write('.gitattributes', '* text=auto eol=crlf ident filter=evil\n*.utf16 working-tree-encoding=UTF-16\n');
    user.write('crlf', 'a\r\nb\r\n');
    user.write('lf', 'a\nb\n$Id$\n');
    user.write('text.utf16', Buffer.from('\ufeffabc\n', 'utf16le'));
    const { checkout } = await expectSameOnNode(user, cluster);
    assert.equal(user.gitIn(checkout, 'status', '--porcelain'), '');
    assert.equal(existsSync(join(user.folder, 'canary')), false);
  });

  test('before the first commit', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    user.write('staged');
    user.git('add', 'staged');
    user.write('untracked');
    const { snapshot } = await expectSameOnNode(user, cluster);
    assert.equal(snapshot.head, undefined);
  });

  test('with a detached HEAD', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    user.write('a');
    const first = user.commitAll();
    user.write('b');
    user.commitAll();
    user.git('checkout', '--quiet', '--detach', first);
    user.write('c');
    const { snapshot } = await expectSameOnNode(user, cluster);
    assert.equal(snapshot.head, first);
    assert.deepEqual(snapshot.shallow, []);
  });

  test('in a linked work tree', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    user.write('a');
    user.write('ignored-by-info');
    user.commitAll();
    writeFileSync(join(user.root, '.git/info/exclude'), 'secret-notes\n');
    const linked = join(user.folder, 'linked');
    user.git('worktree', 'add', '--quiet', '-b', 'other', linked);
    writeFileSync(join(linked, 'only-here'), 'x\n');
    writeFileSync(join(linked, 'secret-notes'), 'x\n');
    const snapshot = await user.snapshot(linked);
    assert.deepEqual(pathsOf(snapshot), ['a', 'ignored-by-info', 'only-here']);
    assert.equal(snapshot.head, user.gitIn(linked, 'rev-parse', 'HEAD'));
    const checkout = await cluster.checkOut(await cluster.receive(snapshot, user.env));
    assert.deepEqual(pathsInFolder(checkout), ['a', 'ignored-by-info', 'only-here']);
  });

  test('in a repository of SHA-256 objects', async () => {
    using user = GitWorkspace.repository('--object-format=sha256');
    await using cluster = new SnapshotReceiver();
    user.write('a');
    const head = user.commitAll();
    user.write('b');
    const { snapshot, checkout } = await expectSameOnNode(user, cluster);
    assert.equal(snapshot.commit.length, 64);
    assert.equal(user.gitIn(checkout, 'rev-parse', 'HEAD~1'), head);
  });

  test('in a sparse checkout: what is not on disk here is not there either', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    user.write('top');
    user.write('in/a');
    user.write('out/b');
    user.commitAll();
    user.git('sparse-checkout', 'set', '--sparse-index', 'in');
    user.write('in/new');
    assert.equal(existsSync(join(user.root, 'out')), false);
    await expectSameOnNode(user, cluster);
  });

  test('with a split index', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    user.write('.gitignore', 'forced\n');
    user.write('forced');
    user.git('add', '--force', 'forced');
    user.commitAll();
    user.git('update-index', '--split-index');
    user.write('b');
    user.git('add', 'b');
    await expectSameOnNode(user, cluster);
  });

  test('with submodules and other repositories inside, whatever state they are in', async () => {
    using library = GitWorkspace.repository();
    library.write('lib.txt');
    library.write('deep/lib.txt');
    library.commitAll();
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    user.git('submodule', '--quiet', 'add', library.root, 'vendor/library');
    user.git('submodule', '--quiet', 'add', library.root, 'not-there');
    user.commitAll();
    user.git('submodule', '--quiet', 'deinit', 'not-there');
    user.write('vendor/library/lib.txt', 'changed\n');
    user.write('vendor/library/untracked');
    user.write('vendor/library/.gitignore', 'skipped\n');
    mkdirSync(join(user.root, 'clone'));
    user.gitIn(user.root, 'clone', '--quiet', library.root, 'clone/of it');
    mkdirSync(join(user.root, 'clone/of it/inner'));
    user.gitIn(join(user.root, 'clone/of it/inner'), 'init', '--quiet');
    user.write('clone/of it/inner/no-commits-yet');
    const expected = walk(user.root);
    user.write('vendor/library/skipped');
    await expectSameOnNode(user, cluster, expected);
  });

  test('where only git knows which files are programs', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    user.write('run.sh');
    user.write('plain');
    chmodSync(join(user.root, 'run.sh'), 0o755);
    user.commitAll();
    const expected = walk(user.root);
    user.git('config', 'core.fileMode', 'false');
    chmodSync(join(user.root, 'run.sh'), 0o644);
    await expectSameOnNode(user, cluster, expected);
    user.write('run.sh', 'changed\n');
    assert.equal(pathsOf(await user.snapshot()).length, 2);
    const [, line] = walk(await cluster.checkOut(await cluster.receive(await user.snapshot(), user.env)));
    assert.match(line!, /^run\.sh executable /);
  });

  test('after a deleted file was brought back, and a submodule was', async () => {
    using library = GitWorkspace.repository();
    library.write('lib.txt');
    library.commitAll();
    using user = GitWorkspace.repository();
    user.write('a');
    user.git('submodule', '--quiet', 'add', library.root, 'library');
    user.commitAll();
    user.git('submodule', '--quiet', 'deinit', '--all');
    user.remove('a');
    assert.deepEqual(pathsOf(await user.snapshot()), ['.gitmodules']);
    user.git('checkout', '--quiet', 'a');
    assert.deepEqual(pathsOf(await user.snapshot()), ['.gitmodules', 'a']);
    user.git('submodule', '--quiet', 'update', '--init');
    assert.deepEqual(pathsOf(await user.snapshot()), ['.gitmodules', 'a', 'library/lib.txt']);
    user.write('library/lib.txt', 'changed\n');
    const first = await user.snapshot();
    user.gitIn(join(user.root, 'library'), 'checkout', '--quiet', 'lib.txt');
    assert.notEqual((await user.snapshot()).tree, first.tree);
  });

  test('in the middle of a merge conflict', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    user.write('a', 'base\n');
    user.commitAll();
    user.git('checkout', '--quiet', '-b', 'other');
    user.write('a', 'theirs\n');
    user.commitAll();
    user.git('checkout', '--quiet', 'main');
    user.write('a', 'ours\n');
    user.commitAll();
    assert.throws(() => user.git('merge', 'other'));
    await expectSameOnNode(user, cluster);
  });

  test('when files were hidden from git by assume-unchanged and skip-worktree', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    user.write('assumed');
    user.write('skipped');
    user.commitAll();
    user.git('update-index', '--assume-unchanged', 'assumed');
    user.git('update-index', '--skip-worktree', 'skipped');
    user.write('assumed', 'changed\n');
    user.write('skipped', 'changed\n');
    await expectSameOnNode(user, cluster);
  });

  test('when files, folders and links have taken each other’s places', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    for (const name of ['file', 'folder/a', 'folder/b', 'linked/a', 'linked/b/c', 'hidden/a', 'emptied'])
      user.write(name);
    user.write('.gitignore', 'hidden\n*.ignored\n');
    user.git('add', '--force', 'hidden/a');
    user.commitAll();
    await user.snapshot();
    const change = () => {
      for (const name of ['file', 'folder', 'linked', 'hidden', 'emptied']) user.remove(name);
      user.write('file/now/a/folder');
      user.write('folder', 'now a file\n');
      symlinkSync('file', join(user.root, 'linked'));
      mkdirSync(join(user.root, 'emptied'));
    };
    change();
    await expectSameOnNode(user, cluster);
    // Ignored ones are no part of it, but stand in the way of tracked ones.
    symlinkSync('file', join(user.root, 'hidden'));
    writeFileSync(join(user.root, 'emptied/x.ignored'), 'x');
    assert.deepEqual(pathsOf(await user.snapshot()), ['.gitignore', 'file/now/a/folder', 'folder', 'linked']);
  });

  test('when it is taken for the first time with everything out of place', async () => {
    using user = GitWorkspace.repository();
    for (const name of ['a/1', 'a/2', 'b', 'c/1']) user.write(name);
    user.write('.gitignore', 'a\n');
    user.git('add', '--force', 'a/1', 'a/2');
    user.commitAll();
    for (const name of ['a', 'b', 'c']) user.remove(name);
    symlinkSync('nowhere', join(user.root, 'a'));
    mkdirSync(join(user.root, 'b'));
    user.write('c');
    assert.deepEqual(pathsOf(await user.snapshot()), ['.gitignore', 'c']);
  });
});

function pathsInFolder(folder: string): string[] {
  return walk(folder).map(line => line.replace(/ (file|executable|->) \S+$/, ''));
}

describe('what belongs to a snapshot', () => {
  test('is not what .gitignore, info/exclude and the user’s own ignore file leave out', async () => {
    using user = GitWorkspace.repository();
    user.write('.gitignore', '*.log\n!keep.log\n');
    user.write('sub/.gitignore', '/only-here\n');
    writeFileSync(join(user.root, '.git/info/exclude'), 'by-info\n');
    mkdirSync(join(user.env.HOME!, '.config/git'), { recursive: true });
    writeFileSync(join(user.env.HOME!, '.config/git/ignore'), 'by-user\n');
    for (const name of ['a.log', 'keep.log', 'sub/only-here', 'by-info', 'by-user', 'sub/by-user']) user.write(name);
    assert.deepEqual(pathsOf(await user.snapshot()), ['.gitignore', 'keep.log', 'sub/.gitignore']);
  });

  test('follows core.excludesFile of the user’s settings', async () => {
    using user = GitWorkspace.repository();
    writeFileSync(join(user.env.HOME!, '.gitconfig'), '[core]\n\texcludesFile = ~/my ignores\n');
    writeFileSync(join(user.env.HOME!, 'my ignores'), '*.swp\n');
    user.write('a.swp');
    user.write('b');
    assert.deepEqual(pathsOf(await user.snapshot()), ['b']);
  });

  test('follows core.excludesFile of the repository rather than of the user, and each change of them', async () => {
    using user = GitWorkspace.repository();
    for (const name of ['a', 'b', 'c']) user.write(name);
    const home = user.env.HOME!;
    for (const name of ['a', 'b']) writeFileSync(join(home, `ignore-${name}`), `${name}\n`);
    assert.deepEqual(pathsOf(await user.snapshot()), ['a', 'b', 'c']);
    user.git('config', '--global', 'core.excludesFile', '~/ignore-a');
    assert.deepEqual(pathsOf(await user.snapshot()), ['b', 'c']);
    user.git('config', 'core.excludesFile', '~/ignore-b');
    assert.deepEqual(pathsOf(await user.snapshot()), ['a', 'c']);
    writeFileSync(join(home, 'ignore-b'), 'c\n');
    assert.deepEqual(pathsOf(await user.snapshot()), ['a', 'b']);
    user.git('config', '--unset', 'core.excludesFile');
    user.git('config', '--global', '--unset', 'core.excludesFile');
    assert.deepEqual(pathsOf(await user.snapshot()), ['a', 'b', 'c']);
  });

  test('has files that are tracked though ignored, and loses those that became ignored', async () => {
    using user = GitWorkspace.repository();
    user.write('.gitignore', 'forced\n');
    for (const name of ['forced', 'later', 'kept']) user.write(name);
    user.git('add', '--force', 'forced');
    assert.deepEqual(pathsOf(await user.snapshot()), ['.gitignore', 'forced', 'kept', 'later']);
    user.write('.gitignore', 'forced\nlater\n');
    assert.deepEqual(pathsOf(await user.snapshot()), ['.gitignore', 'forced', 'kept']);
    user.git('rm', '--quiet', '--cached', 'forced');
    assert.deepEqual(pathsOf(await user.snapshot()), ['.gitignore', 'kept']);
    user.write('.gitignore', '');
    assert.deepEqual(pathsOf(await user.snapshot()), ['.gitignore', 'forced', 'kept', 'later']);
  });

  test('is the folder with the task file, when that lies deep in a repository', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    user.write('.gitignore', '*.log\n');
    user.write('outside');
    user.write('part/simple-ci.yaml', 'tasks: {a: b}\n');
    user.write('part/src/x');
    user.commitAll();
    user.write('part/src/y');
    const expected = walk(join(user.root, 'part'));
    user.write('part/skipped.log');
    const snapshot = await user.snapshot(join(user.root, 'part/src'));
    assert.equal(snapshot.head, undefined);
    const checkout = await cluster.checkOut(await cluster.receive(snapshot, user.env));
    assert.deepEqual(walk(checkout), expected);
  });

  test('is counted: files and bytes', async () => {
    using user = new GitWorkspace();
    user.write('a', 'x'.repeat(1000));
    user.write('b/c', 'y'.repeat(234));
    const { files, bytes } = await user.snapshot();
    assert.deepEqual({ files, bytes }, { files: 2, bytes: 1234 });
  });

  test('is no socket and no pipe', async () => {
    using user = GitWorkspace.repository();
    user.write('a');
    user.write('tracked');
    user.commitAll();
    await user.snapshot();
    user.remove('tracked');
    execFileSync('mkfifo', [join(user.root, 'pipe'), join(user.root, 'tracked')]);
    assert.deepEqual(pathsOf(await user.snapshot()), ['a']);
  });
});

describe('the commit of a snapshot', () => {
  test('is the same for the same files on the same HEAD, wherever and whenever it is taken', async () => {
    using user = GitWorkspace.repository();
    user.write('a');
    user.commitAll();
    user.write('b');
    const first = await user.snapshot();
    using other = new GitWorkspace();
    other.gitIn(other.folder, 'clone', '--quiet', user.root, 'work');
    other.write('b');
    utimesSync(join(other.root, 'b'), 1, 1);
    assert.equal((await other.snapshot()).commit, first.commit);
    other.write('b', 'different\n');
    assert.notEqual((await other.snapshot()).commit, first.commit);
  });

  test('is on the HEAD of the moment, whether its branch has a file of its own, is packed, or is new', async () => {
    using user = GitWorkspace.repository();
    user.write('a');
    const first = user.commitAll();
    assert.equal((await user.snapshot()).head, first);
    user.git('pack-refs', '--all');
    assert.equal((await user.snapshot()).head, first);
    const second = user.commitAll();
    assert.equal((await user.snapshot()).head, second);
    user.git('checkout', '--quiet', '-b', 'a/branch', first);
    assert.equal((await user.snapshot()).head, first);
    user.git('symbolic-ref', 'refs/heads/alias', 'refs/heads/main');
    user.git('symbolic-ref', 'HEAD', 'refs/heads/alias');
    assert.equal((await user.snapshot()).head, second);
    user.git('checkout', '--quiet', '--orphan', 'unborn');
    assert.equal((await user.snapshot()).head, undefined);
  });

  test('notices edits that keep the size and follow each other at once', async () => {
    using user = GitWorkspace.repository();
    for (const name of ['tracked', 'other']) user.write(name, '0\n');
    user.commitAll();
    const trees = new Set<string>();
    for (let edit = 0; edit < 10; edit++) {
      user.write('tracked', `${edit}\n`);
      if (edit % 2 === 1) user.write('untracked', `${edit}\n`);
      const { tree } = await user.snapshot();
      user.git('add', '--all');
      assert.equal(tree, user.git('write-tree'));
      trees.add(tree);
    }
    assert.equal(trees.size, 10);
  });

  test('notices an edit that keeps size and time', async () => {
    using user = new GitWorkspace();
    const file = join(user.root, 'a');
    user.write('a', 'one\n');
    utimesSync(file, 1000, 1000);
    const first = await user.snapshot();
    // Another inode with the same length and modification time: only the change time and the inode tell.
    writeFileSync(join(user.folder, 'new'), 'two\n');
    utimesSync(join(user.folder, 'new'), 1000, 1000);
    renameSync(join(user.folder, 'new'), file);
    assert.notEqual((await user.snapshot()).tree, first.tree);
  });
});
