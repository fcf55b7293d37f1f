import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findWorkspace } from '../../node-runtime/workspace/find-workspace.ts';
import { readBranch } from '../../node-runtime/workspace/user-repository.ts';
import { GitWorkspace } from '../support/git-workspace.ts';

async function branchOf(folder: string): Promise<string | undefined> {
  const { git } = await findWorkspace(folder);
  return git && readBranch(git);
}

test('the branch of a workspace is the one that is checked out, before its first commit too', async () => {
  using user = GitWorkspace.repository();
  assert.equal(await branchOf(user.root), 'main');
  user.commitAll();
  user.git('checkout', '--quiet', '-b', 'fix/ünïcode');
  assert.equal(await branchOf(user.root), 'fix/ünïcode');
  const linked = join(user.folder, 'linked');
  user.git('worktree', 'add', '--quiet', '-b', 'other', linked);
  assert.equal(await branchOf(linked), 'other');
});

test('a folder without a repository, a detached HEAD, and a name that git would not accept are no branch', async () => {
  using plain = new GitWorkspace();
  assert.equal(await branchOf(plain.root), undefined);
  using user = GitWorkspace.repository();
  const commit = user.commitAll();
  user.git('checkout', '--quiet', '--detach', commit);
  assert.equal(await branchOf(user.root), undefined);
  for (const name of ['--upload-pack=x', 'a b', 'a..b', '.invalid', 'x'.repeat(501)]) {
    writeFileSync(join(user.root, '.git/HEAD'), `ref: refs/heads/${name}\n`);
    assert.equal(await branchOf(user.root), undefined, name);
  }
});
