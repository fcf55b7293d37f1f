import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';
import { ISOLATIONS, isRoot, run, supervised } from './supervised.ts';

const execute = promisify(execFile);

/** What a task may leave behind so that removing it fails or does harm. */
const NASTY = {
  'folders that nobody may enter': 'mkdir -p a/b/c && touch a/b/c/file && chmod 000 a/b/c a/b a',
  'a path that is too long for the system': `perl -e 'for (1..40) { mkdir "d" x 200 and chdir "d" x 200 or exit 1 } open F, ">deepest" or exit 2'`,
  'names that are no text': 'touch -- "$(printf "a\\377\\nb")" "-rf" "*" " "',
  'links to folders of others': 'ln -s "$OUTSIDE" link; ln -s .. up; mkdir d; ln -s "$OUTSIDE/kept" d/file',
  'files that only others may write': 'touch file && chmod 000 file && mkdir d && touch d/f && chmod 555 d',
  'pipes and sockets': 'mkfifo pipe; mkfifo d-pipe && chmod 000 d-pipe',
};

for (const isolation of ISOLATIONS)
  describe(`the folders of a sandbox with isolation "${isolation}"`, () => {
    for (const [what, script] of Object.entries(NASTY))
      it(`are removed with ${what}, and nothing else is`, async () => {
        await using outside = await temporaryFolder();
        await writeFile(join(outside.path, 'kept'), 'kept');
        await using node = await supervised(isolation);
        await using sandbox = await node.open();
        const { end } = await run(sandbox, script, { OUTSIDE: outside.path });
        assert.deepEqual(end, { kind: 'exited', code: 0 });
        await sandbox[Symbol.asyncDispose]();
        await until('they are removed', () => !existsSync(sandbox.folders.workspace));
        assert.equal(await readFile(join(outside.path, 'kept'), 'utf8'), 'kept');
      });

    it('are for their user alone', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      for (const path of Object.values(sandbox.folders)) {
        const { mode, uid } = await stat(path);
        assert.equal(mode & 0o777, 0o700);
        assert.equal(uid !== process.getuid?.(), isRoot && isolation !== 'none');
      }
    });

    it('hold what the node has put there, once it is given to the task', async () => {
      await using outside = await temporaryFolder();
      await writeFile(join(outside.path, 'kept'), 'kept', { mode: 0o600 });
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      await mkdir(join(sandbox.folders.workspace, 'src'));
      await writeFile(join(sandbox.folders.workspace, 'src', 'main.c'), 'int main;', { mode: 0o600 });
      await sandbox.adopt(sandbox.folders.workspace);
      const { output } = await run(sandbox, 'cat src/main.c && echo more >> src/main.c && echo ok');
      assert.equal(output, 'int main;ok\n');
      assert.equal((await stat(join(outside.path, 'kept'))).uid, process.getuid?.());
    });

    it('are gone with everything else of the node when its supervisor has ended', async () => {
      const node = await supervised(isolation);
      const sandbox = await node.open();
      await run(sandbox, 'mkdir -p a/b && echo > a/b/c');
      await sandbox[Symbol.asyncDispose]();
      await node.supervisor[Symbol.asyncDispose]();
      assert.deepEqual(await readdir(node.root), []);
      await node[Symbol.asyncDispose]();
    });
  });

describe('the folder of a node on ext4', { skip: await withoutExt4() }, () => {
  it('has each sandbox in another part of the disk', async () => {
    await using node = await supervised('none');
    await using sandbox = await node.open();
    const ofNode = dirname(dirname(sandbox.folders.workspace));
    assert.match(await flagsOf(ofNode), /T/);
  });
});

/** Why it cannot be tried here; false where it can. */
async function withoutExt4(): Promise<string | false> {
  await using folder = await temporaryFolder();
  try {
    await execute('chattr', ['+T', folder.path]);
    return false;
  } catch {
    return 'only ext4 can do that, by chattr';
  }
}

/** As lsattr shows them. */
async function flagsOf(folder: string): Promise<string> {
  const { stdout } = await execute('lsattr', ['-d', folder]);
  return stdout.split(' ')[0]!;
}

describe('a folder that other users cannot get to', { skip: isRoot ? false : 'only root has users to give' }, () => {
  it('is not used for tasks of other users', async () => {
    await using closed = await temporaryFolder();
    await using node = await supervised('user', { root: join(closed.path, 'sandboxes') });
    await using sandbox = await node.open();
    assert.ok(!sandbox.folders.workspace.startsWith(closed.path));
    assert.equal((await run(sandbox, 'pwd')).output, `${sandbox.folders.workspace}\n`);
  });
});
