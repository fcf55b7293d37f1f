import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { findWorkspace } from '../../node-runtime/workspace/find-workspace.ts';
import { takeSnapshot } from '../../node-runtime/workspace/take-snapshot.ts';
import { isCiError } from '../../shared/errors.ts';
import { GitWorkspace, SnapshotReceiver, walk } from '../support/git-workspace.ts';

/** Everything in a folder: names, content, modes. */
function fingerprint(folder: string): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const info = lstatSync(join(folder, name));
    hash.update(`${name} ${info.mode} `);
    if (info.isFile()) hash.update(readFileSync(join(folder, name)));
  }
  return hash.digest('hex');
}

describe('taking a snapshot', () => {
  test('changes nothing in the user’s folder and repository', async () => {
    using user = GitWorkspace.repository();
    user.write('a');
    user.write('b');
    user.commitAll();
    user.write('a', 'staged\n');
    user.git('add', 'a');
    user.write('a', 'unstaged\n');
    user.write('c');
    const before = fingerprint(user.root);
    await user.snapshot();
    user.env.GIT_DIR = '/nonsense';
    await user.snapshot();
    assert.equal(fingerprint(user.root), before);
  });

  test('runs no program that the repository names', async () => {
    using user = GitWorkspace.repository();
    const canary = join(user.folder, 'canary');
    const evil = join(user.folder, 'evil.sh');
    writeFileSync(evil, `#!/bin/sh\ntouch ${canary}\ncat\n`);
    chmodSync(evil, 0o755);
    user.write('.gitattributes', '* filter=evil diff=evil merge=evil\n');
    user.write('a');
    user.commitAll();
    rmSync(canary, { force: true });
    for (const name of [
      'core.fsmonitor',
      'core.sshCommand',
      'core.pager',
      'core.editor',
      'core.askPass',
      'gpg.program',
    ])
      user.git('config', name, evil);
    for (const name of ['filter.evil.clean', 'filter.evil.process', 'diff.evil.textconv', 'diff.external'])
      user.git('config', name, evil);
    // Of the user's own settings only his ignore file counts.
    for (const name of ['core.fsmonitor', 'core.pager', 'core.alternateRefsCommand', 'alias.ls-files'])
      user.git('config', '--global', name, evil);
    user.git('config', '--global', 'core.hooksPath', join(user.folder, 'hooks'));
    user.git('config', 'core.alternateRefsCommand', evil);
    user.git('config', 'core.hooksPath', join(user.folder, 'hooks'));
    user.git('config', 'alias.ls-files', `!${evil}`);
    user.git('config', 'extensions.partialClone', 'origin');
    user.git('config', 'remote.origin.url', `ext::${evil}`);
    user.git('config', 'remote.origin.promisor', 'true');
    user.git('config', 'protocol.ext.allow', 'always');
    user.git('config', 'include.path', evil);
    mkdirSync(join(user.folder, 'hooks'));
    for (const hook of ['post-index-change', 'pre-commit', 'fsmonitor-watchman', 'reference-transaction'])
      execFileSync('cp', [evil, join(user.folder, 'hooks', hook)]);
    user.write('b');
    await user.snapshot();
    user.write('b', 'again\n');
    await user.snapshot();
    assert.equal(existsSync(canary), false);
  });

  test('believes no repository that its work tree is elsewhere', async () => {
    using user = GitWorkspace.repository();
    user.write('mine');
    writeFileSync(join(user.folder, 'home/private'), 'private\n');
    user.git('config', 'core.worktree', join(user.folder, 'home'));
    const workspace = await findWorkspace(user.root);
    assert.equal(workspace.root, user.root);
    assert.equal((await user.snapshot()).files, 1);
  });

  test('works for several at once, in one process and in many', async () => {
    using user = GitWorkspace.repository();
    for (let i = 0; i < 200; i++) user.write(`f/${i}`);
    const inHere = Promise.all([user.snapshot(), user.snapshot(), user.snapshot()]);
    const program = `
      const { findWorkspace } = await import(${JSON.stringify(import.meta.resolve('../../node-runtime/workspace/find-workspace.ts'))});
      const { takeSnapshot } = await import(${JSON.stringify(import.meta.resolve('../../node-runtime/workspace/take-snapshot.ts'))});
      const options = ${JSON.stringify({ cacheDir: user.cacheDir, env: user.env })};
      const signal = new AbortController().signal;
      console.log((await takeSnapshot(await findWorkspace(${JSON.stringify(user.root)}), { ...options, signal })).commit);`;
    const others = [1, 2].map(async () => {
      const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const output = Buffer.concat(await Array.fromAsync(child.stdout))
        .toString()
        .trim();
      if (child.exitCode === null) await once(child, 'exit');
      return output;
    });
    const commits = new Set([...(await inHere).map(({ commit }) => commit), ...(await Promise.all(others))]);
    assert.equal(commits.size, 1);
    assert.match([...commits][0]!, /^[0-9a-f]{40}$/);
  });

  test('ends when its signal fires, and works again after', async () => {
    using user = new GitWorkspace();
    for (let i = 0; i < 50; i++) user.write(`f/${i}`);
    const stop = new AbortController();
    const taking = user.snapshot(user.root, stop.signal);
    setImmediate(() => stop.abort(new Error('enough')));
    await assert.rejects(taking, /enough/);
    assert.equal((await user.snapshot()).files, 50);
  });

  for (const [what, damage] of [
    ['a cut index', (gitDir: string) => truncateSync(join(gitDir, 'index'), 100)],
    ['an empty index', (gitDir: string) => truncateSync(join(gitDir, 'index'), 0)],
    ['no objects', (gitDir: string) => rmSync(join(gitDir, 'objects'), { recursive: true })],
    ['a left-over lock', (gitDir: string) => writeFileSync(join(gitDir, 'index.lock'), '')],
    ['no HEAD', (gitDir: string) => rmSync(join(gitDir, 'HEAD'))],
    ['an unreadable state', (gitDir: string) => writeFileSync(join(gitDir, '../state.json'), '{"v": 1')],
    ['a foreign state', (gitDir: string) => writeFileSync(join(gitDir, '../state.json'), '{"v": 99}')],
  ] as const) {
    test(`recovers from a cache with ${what}`, async () => {
      using user = new GitWorkspace();
      await using cluster = new SnapshotReceiver();
      user.write('a');
      user.write('b/c');
      const { scratch } = await user.snapshot();
      damage(scratch.gitDir);
      user.write('a', 'changed\n');
      const snapshot = await user.snapshot();
      const checkout = await cluster.checkOut(await cluster.receive(snapshot, user.env));
      assert.deepEqual(walk(checkout), walk(user.root));
    });
  }

  test('recovers when the user’s repository has dropped objects that it leaned on', async () => {
    using user = GitWorkspace.repository();
    await using cluster = new SnapshotReceiver();
    user.write('base');
    user.commitAll();
    user.write('a', 'staged for a while\n');
    user.git('add', 'a');
    await user.snapshot();
    user.git('reset', '--quiet');
    user.git('gc', '--quiet', '--prune=now');
    const checkout = await cluster.checkOut(await cluster.receive(await user.snapshot(), user.env));
    assert.deepEqual(walk(checkout), walk(user.root));
  });

  test('says that there is no git', async () => {
    using user = new GitWorkspace();
    user.env.PATH = user.folder;
    await assert.rejects(
      user.snapshot(),
      (error: unknown) => isCiError(error, 'not-found') && /no git/.test(error.message),
    );
  });

  test('says that git is too old', async () => {
    using user = new GitWorkspace();
    const folder = join(user.folder, 'bin');
    mkdirSync(folder);
    writeFileSync(join(folder, 'git'), '#!/bin/sh\necho git version 1.8.3\n', { mode: 0o755 });
    user.env.PATH = folder;
    await assert.rejects(
      user.snapshot(),
      (error: unknown) => isCiError(error, 'invalid') && /1\.8\.3/.test(error.message),
    );
  });

  test('names the file that would never be checked out', async () => {
    using user = new GitWorkspace();
    user.write('deep/.GIT/config');
    await assert.rejects(
      user.snapshot(),
      (error: unknown) => isCiError(error, 'invalid') && /\.GIT/.test(error.message),
    );
  });

  test('names the file that may not be read', {
    skip: process.getuid?.() !== 0 && 'needs root to become another user',
  }, async () => {
    using user = new GitWorkspace();
    user.write('fine');
    user.write('closed "one"');
    chmodSync(join(user.root, 'closed "one"'), 0);
    mkdirSync(user.cacheDir);
    execFileSync('chown', ['-R', '65534:65534', user.folder]);
    chmodSync(user.folder, 0o755);
    const git = await takenAsNobody(user);
    assert.match(git, /^invalid Cannot take snapshot as a file may not be read: "closed \\"one\\""/);
  });

  test('names the folder that may not be read', {
    skip: process.getuid?.() !== 0 && 'needs root to become another user',
  }, async () => {
    using user = GitWorkspace.repository();
    user.write('closed/inside');
    mkdirSync(user.cacheDir);
    execFileSync('chown', ['-R', '65534:65534', user.folder]);
    chmodSync(user.folder, 0o755);
    chmodSync(join(user.root, 'closed'), 0);
    assert.match(await takenAsNobody(user), /^invalid Cannot take snapshot as a folder may not be read: "closed\/"/);
  });
});

/** Root may read everything; a child process that is nobody may not. */
async function takenAsNobody(user: GitWorkspace): Promise<string> {
  process.setegid!(65534);
  process.seteuid!(65534);
  try {
    const options = { cacheDir: user.cacheDir, env: user.env, signal: neverAborted };
    await takeSnapshot(await findWorkspace(user.root), options);
    return 'taken';
  } catch (error) {
    return isCiError(error) ? `${error.code} ${error.message}` : String(error);
  } finally {
    process.seteuid!(0);
    process.setegid!(0);
  }
}
