import assert from 'node:assert/strict';
import { chmodSync, existsSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { findWorkspace } from '../../node-runtime/workspace/find-workspace.ts';
import { takeSnapshot } from '../../node-runtime/workspace/take-snapshot.ts';
import { GitWorkspace, SnapshotReceiver } from '../support/git-workspace.ts';

/** Things that happen to a folder between two snapshots. What does not fit at the moment fails, and that is fine. */
const EVENTS: Readonly<Record<string, (user: GitWorkspace, path: string, n: number) => void>> = {
  write: (user, path, n) => user.write(path, `${n}\n`),
  writeSecret: (user, path, n) => user.write(path, `-----BEGIN PRIVATE KEY-----\n${n}\n`),
  move: (user, path, n) => renameSync(join(user.root, path), join(user.root, n % 2 === 0 ? 'b' : 'd/e/b')),
  remove: (user, path) => rmSync(join(user.root, path), { recursive: true, force: true }),
  link: (user, path, n) => symlinkSync(n % 2 === 0 ? 'a' : '/nowhere/at/all', join(user.root, path)),
  folder: (user, path) => mkdirSync(join(user.root, path), { recursive: true }),
  executable: (user, path, n) => !isLink(user, path) && chmodSync(join(user.root, path), n % 2 === 0 ? 0o755 : 0o644),
  ignore: (user, path, n) => user.write(n % 3 === 0 ? 'd/.gitignore' : '.gitignore', n % 2 === 0 ? `${path}\n` : ''),
  add: (user, path) => user.git('add', '--force', '--', path),
  forget: (user, path) => user.git('rm', '-r', '--quiet', '--cached', '--', path),
  commit: user => user.commitAll(),
  modes: (user, _path, n) => user.git('config', 'core.fileMode', n % 2 === 0 ? 'true' : 'false'),
  restore: (user, path) => user.git('checkout', '--quiet', 'HEAD', '--', path),
  reset: user => user.git('reset', '--quiet', '--hard'),
  stash: user => user.git('stash', '--quiet', '--include-untracked'),
  nest: (user, path) => user.gitIn(join(user.root, path), 'init', '--quiet'),
  commitInside: (user, path) => {
    if (!existsSync(join(user.root, path, '.git'))) return;
    user.gitIn(join(user.root, path), 'add', '--all');
    user.gitIn(join(user.root, path), 'commit', '--quiet', '--allow-empty', '--message', 'Inside');
  },
  unnest: (user, path) => rmSync(join(user.root, path, '.git'), { recursive: true, force: true }),
};

function isLink(user: GitWorkspace, path: string): boolean {
  return lstatSync(join(user.root, path)).isSymbolicLink();
}

const paths = fc.constantFrom('a', 'b', 'd', 'd/a', 'd/b', 'd/e', 'd/e/a', 'd/e/b', 'c/a', 'c', 'new\nline');
const event = fc.tuple(fc.constantFrom(...Object.keys(EVENTS)), paths, fc.nat(9));

/**
 * What is remembered must never show: whatever has happened to a folder, its snapshot is that of somebody who looks at it
 * for the first time. And the packs that were sent one after another are all that a node needs of it.
 */
test('a snapshot after any history is the one that is taken with nothing remembered, and is whole on the node', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(event, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 }),
      async history => {
        using user = GitWorkspace.repository();
        await using cluster = new SnapshotReceiver();
        user.write('a');
        user.write('d/e/a');
        user.commitAll();
        let sent = await cluster.receive(await user.snapshot(), user.env);
        for (const [at, events] of history.entries()) {
          for (const [name, path, n] of events) happen(user, name, path, n);
          const remembered = await user.snapshot();
          const fresh = await takeFresh(user, at);
          assert.equal(remembered.tree, fresh.tree);
          assert.equal(remembered.commit, fresh.commit);
          assert.deepEqual([remembered.files, remembered.bytes], [fresh.files, fresh.bytes]);
          assert.deepEqual(remembered.secrets, fresh.secrets);
          sent = await cluster.receive(remembered, user.env, sent);
        }
        const checkout = await cluster.checkOut(sent);
        assert.equal(user.gitIn(checkout, 'rev-parse', 'HEAD'), sent.commit);
        user.gitIn(checkout, 'fsck', '--full', '--strict', '--no-dangling');
      },
    ),
    { numRuns: Number(process.env.SIMPLE_CI_TEST_RUNS ?? 12) },
  );
});

function happen(user: GitWorkspace, name: string, path: string, n: number): void {
  try {
    EVENTS[name]!(user, path, n);
  } catch {
    // It did not fit.
  }
}

async function takeFresh(user: GitWorkspace, at: number) {
  const cacheDir = join(user.folder, `fresh-cache-${at}`);
  return takeSnapshot(await findWorkspace(user.root), { cacheDir, env: user.env, signal: neverAborted });
}
