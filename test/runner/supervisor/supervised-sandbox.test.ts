import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { CommandEnd, SandboxFolders } from '../../../node-runtime/runner/sandbox.ts';
import { bubblewrapHolder, bubblewrapLayout, INSIDE } from '../../../node-runtime/runner/supervisor/bubblewrap.ts';
import { Permit } from '../../../node-runtime/runner/supervisor/permit.ts';
import { PipeReader } from '../../../node-runtime/runner/supervisor/read-pipe.ts';
import { RenewalWatch } from '../../../node-runtime/runner/supervisor/renewal-watch.ts';
import { makeFolders } from '../../../node-runtime/runner/supervisor/sandbox-folders.ts';
import { SupervisedSandbox } from '../../../node-runtime/runner/supervisor/supervised-sandbox.ts';
import { readSystemFolders } from '../../../node-runtime/runner/supervisor/system-folders.ts';
import { momentOf, systemClock } from '../../../node-runtime/system/clock.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { ISOLATIONS, LEASE, PATH } from './supervised.ts';

describe('a bubblewrap that fails', {
  skip: !ISOLATIONS.includes('bubblewrap') && 'bubblewrap does not work here',
}, () => {
  it('for every command is not for the command to answer for, and says why', async () => {
    await using it = await sandboxWith('echo "bwrap: out of luck" >&2; exit 1');
    await assert.rejects(
      it.run('echo never'),
      /^Error: Cannot make a sandbox for a command as .*: bwrap: out of luck$/,
    );
  });

  it('once, has passed when the command is started again', async () => {
    await using it = await sandboxWith('[ -e failed ] || { touch failed; echo "bwrap: out of luck" >&2; exit 1; }');
    assert.deepEqual(await it.run('exit 3'), { kind: 'exited', code: 3 });
  });

  it('once, and killed at that, has passed too: it was not the command that was killed', async () => {
    await using it = await sandboxWith('[ -e failed ] || { touch failed; exit 137; }');
    assert.deepEqual(await it.run('exit 3'), { kind: 'exited', code: 3 });
  });

  it('to hold namespaces is not for the command to answer for', async () => {
    await using it = await sandboxWith('', 'echo "bwrap: no namespaces" >&2; exit 1');
    await assert.rejects(it.run('echo never'), /^Error: Cannot start bubblewrap: bwrap: no namespaces$/);
  });

  it('to be there is not for the command to answer for', async () => {
    await using it = await sandboxWith('');
    await it.run('true');
    await rm(it.program);
    await assert.rejects(it.run('echo never'), /ENOENT/);
  });

  it('since the task has killed its own namespaces counts as killed', async () => {
    await using it = await sandboxWith('');
    const killed = { kind: 'killed', signal: 'SIGKILL', byUs: false };
    assert.deepEqual(await it.run('kill -9 -1; sleep 1000'), killed);
    assert.deepEqual(await it.run('true'), killed);
    await it.sandbox.kill();
    assert.deepEqual(await it.run('exit 3'), { kind: 'exited', code: 3 });
  });

  it('since a folder of the sandbox has gone says which', async () => {
    await using it = await sandboxWith('');
    await rm(it.folders.home, { recursive: true });
    await assert.rejects(it.run('echo never'), new RegExp(`Cannot make a sandbox .*${it.folders.home}`));
  });
});

describe('a sandbox', () => {
  it('that is killed while it is being frozen lets run what comes next', async () => {
    await using it = await sandboxWith();
    const freezing = it.sandbox.freeze();
    await it.sandbox.kill();
    const next = it.run('sleep 0.05; exit 4');
    await freezing;
    assert.deepEqual(await next, { kind: 'exited', code: 4 });
  });

  it('knows how long it has stood still since any moment', async () => {
    await using it = await sandboxWith();
    const began = systemClock.monotonic();
    assert.equal(it.sandbox.stoodStill(began), 0);
    await it.sandbox.freeze();
    const frozen = systemClock.monotonic();
    const [all, since] = [it.sandbox.stoodStill(began), it.sandbox.stoodStill(frozen)];
    assert.ok(all > 0 && since >= 0 && since < all, `${all} ${since}`);
    await it.sandbox.thaw();
    const thawed = it.sandbox.stoodStill(began);
    assert.ok(thawed > all);
    await it.run('true');
    assert.equal(it.sandbox.stoodStill(began), thawed);
  });
});

interface It extends AsyncDisposable {
  readonly sandbox: SupervisedSandbox;
  readonly program: string;
  readonly folders: SandboxFolders;
  run(script: string): Promise<CommandEnd>;
}

/**
 * A sandbox of this process; with bubblewrap if something is said of that.
 * @param before what is done, in shell, before bubblewrap starts a command
 * @param beforeHolder the same for the holder of its namespaces
 */
async function sandboxWith(before?: string, beforeHolder = ''): Promise<It> {
  const folder = await temporaryFolder();
  const own = join(folder.path, 'own');
  const folders = makeFolders(own, undefined);
  const program = join(folder.path, 'bwrap');
  const script = `#!/bin/sh\ncd ${folder.path}\ncase $1 in --args)\n${before}\n;; *)\n${beforeHolder}\n;; esac\nexec bwrap "$@"\n`;
  await writeFile(program, script);
  await chmod(program, 0o755);
  const system = await readSystemFolders(folder.path);
  const renewals = new RenewalWatch(systemClock, 3_600_000);
  renewals.renewed({ lease: LEASE, sent: momentOf(systemClock) });
  const sandbox = new SupervisedSandbox(
    {
      number: 1,
      lease: LEASE,
      folder: `${own}/`,
      marks: { kind: 'folder', folder: `${own}/` },
      oomScore: 700,
      ...(before !== undefined && {
        bubblewrap: { program, holder: bubblewrapHolder(system), layout: bubblewrapLayout(system, folders) },
      }),
    },
    new Permit(LEASE, renewals, systemClock),
    systemClock,
  );
  const inside = before === undefined ? folders : INSIDE;
  let pipes = 0;
  return {
    sandbox,
    program,
    folders,
    async run(text) {
      const pipe = join(folder.path, `pipe-${++pipes}`);
      execFileSync('mkfifo', [pipe]);
      const reader = new PipeReader(pipe);
      try {
        const argv = ['/bin/sh', '-c', text] as const;
        const env = { PATH, HOME: inside.home };
        return await sandbox.run({ argv, cwd: inside.workspace, env, pipe });
      } finally {
        reader.cut();
      }
    },
    async [Symbol.asyncDispose]() {
      await sandbox.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}
