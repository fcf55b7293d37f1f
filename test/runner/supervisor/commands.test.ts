import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { until } from '../../support/until.ts';
import { finish, ISOLATIONS, PATH, read, run, start, supervised } from './supervised.ts';

for (const isolation of ISOLATIONS) {
  describe(`a command with isolation "${isolation}"`, () => {
    it('ends with its exit code', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      assert.deepEqual((await run(sandbox, 'exit 0')).end, { kind: 'exited', code: 0 });
      assert.deepEqual((await run(sandbox, 'exit 3')).end, { kind: 'exited', code: 3 });
      assert.deepEqual((await run(sandbox, 'exit 129')).end, { kind: 'exited', code: 129 });
    });

    it('that kills itself has been killed, and not by us', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      assert.deepEqual((await run(sandbox, 'kill -9 $$')).end, { kind: 'killed', signal: 'SIGKILL', byUs: false });
      assert.deepEqual((await run(sandbox, 'kill -SEGV $$')).end, { kind: 'killed', signal: 'SIGSEGV', byUs: false });
    });

    it('that tells by 128 + n of a death by signal n counts as killed by it, as what it ran was', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const killed = (signal: string) => ({ kind: 'killed', signal, byUs: false });
      assert.deepEqual((await run(sandbox, "sh -c 'kill -9 $$'; exit $?")).end, killed('SIGKILL'));
      assert.deepEqual((await run(sandbox, 'exit 139')).end, killed('SIGSEGV'));
      assert.deepEqual((await run(sandbox, 'exit 143')).end, killed('SIGTERM'));
      // Codes that programs give by themselves, git and shells among them.
      for (const code of [126, 127, 128, 130, 141, 255])
        assert.deepEqual((await run(sandbox, `exit ${code}`)).end, { kind: 'exited', code });
    });

    it('that is told to end before it could be started is not started', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      await sandbox.freeze();
      const running = start(sandbox, 'touch ~/started');
      running.stop(60_000);
      await sandbox.thaw();
      assert.deepEqual(await running.ended, { kind: 'killed', signal: 'SIGTERM', byUs: true });
      assert.deepEqual((await run(sandbox, 'test -e ~/started')).end, { kind: 'exited', code: 1 });
    });

    it('that is told to end at once does', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const running = start(sandbox, 'sleep 1000');
      running.stop(2000);
      const end = await running.ended;
      assert.ok(end.kind === 'killed' && end.byUs, JSON.stringify(end));
    });

    it('that is no program, or whose folder is missing, is not started and says why', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const file = join(sandbox.folders.workspace, 'plain.txt');
      await writeFile(file, 'text', { mode: 0o644 });
      await sandbox.adopt(file);
      const attempt = async (program: string, cwd: string) => {
        const { end } = await finish(sandbox.run({ argv: [program], cwd, env: { PATH } }));
        return end.kind === 'not-started' ? end.message : end.kind;
      };
      const { workspace } = sandbox.inside;
      assert.match(await attempt('no-such-program', workspace), /"no-such-program"/);
      assert.equal(await attempt('/bin/true', join(workspace, 'missing')), 'no-folder');
      assert.equal(await attempt('no-such-program', join(workspace, 'missing')), 'no-folder');
      assert.equal(await attempt('/bin/true', join(workspace, 'plain.txt')), 'no-folder');
      assert.match(await attempt(join(workspace, 'plain.txt'), workspace), /may (not )?be executed/);
      await run(sandbox, "echo '#!/no/such/interpreter' > script; chmod +x script");
      assert.match(await attempt(join(workspace, 'script'), workspace), /Cannot start ".*script" as/);
    });

    it('has exactly the variables that it was given', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const env = { PATH, HOME: sandbox.inside.home, EMPTY: '', TEXT: 'a=b\nc "$d" \'e\' ü' };
      const command = { argv: ['/usr/bin/env', '-0'] as const, cwd: sandbox.inside.workspace, env };
      const { output } = await finish(sandbox.run(command));
      const seen = output.split('\0').filter(entry => entry !== '' && !entry.startsWith('PWD='));
      assert.deepEqual(
        seen.sort(),
        Object.entries(env)
          .map(([name, value]) => `${name}=${value}`)
          .sort(),
      );
    });

    it('is not steered by variables that are meant for programs of the loader or shell', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const { end } = await run(sandbox, 'exit 4', {
        BASH_ENV: '/etc/passwd',
        NODE_OPTIONS: '--bad',
        LD_LIBRARY_PATH: '/x',
      });
      assert.deepEqual(end, { kind: 'exited', code: 4 });
    });

    it('reads nothing from its standard input, and has no other files open', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const { output } = await run(sandbox, 'wc -c; readlink /proc/self/fd/0; ls -l /proc/self/fd');
      const [count, input, ...files] = output.split('\n');
      assert.deepEqual([count, input], ['0', '/dev/null']);
      // Input, output, errors, and the folder that ls itself reads; bubblewrap leaves open the namespaces that a command is in.
      const others = files.filter(line => line.includes('->') && !/-> (user|pid):\[/.test(line));
      assert.equal(others.length, 4, output);
    });

    it('writes its output and errors into one stream, in their order', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const script = 'for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done';
      const expected = Array.from({ length: 9 }, (_, i) => `out ${i + 1}\nerr ${i + 1}\n`).join('');
      assert.equal((await run(sandbox, script)).output, expected);
    });

    it('may open /dev/stdout and /dev/stderr by name', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      assert.equal((await run(sandbox, 'echo a > /dev/stdout; echo b > /dev/stderr')).output, 'a\nb\n');
    });

    it('prints bytes that are no text, unchanged', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const running = start(sandbox, "printf '\\000\\377\\200\\n'");
      const chunks: Uint8Array[] = [];
      for await (const bytes of running.output) chunks.push(bytes);
      assert.deepEqual([...Buffer.concat(chunks)], [0, 255, 128, 10]);
    });

    it('ends its output when what it has left running does not hold it', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const { end, output } = await run(sandbox, 'sleep 1000 > /dev/null 2>&1 & echo started');
      assert.deepEqual([end, output], [{ kind: 'exited', code: 0 }, 'started\n']);
    });

    it('can end what an earlier one has left running', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      await run(sandbox, 'sleep 1000 > /dev/null 2>&1 & echo $! > pid');
      const { output } = await run(
        sandbox,
        'kill $(cat pid) && while kill -0 $(cat pid) 2> /dev/null; do sleep 0.02; done; echo gone',
      );
      assert.equal(output, 'gone\n');
    });

    it('can run after everything was killed', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      await run(sandbox, 'sleep 1000 > /dev/null 2>&1 &');
      await sandbox.kill();
      assert.equal((await run(sandbox, 'echo again')).output, 'again\n');
    });

    it('can write into its three folders', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const { workspace, home, tmp } = sandbox.inside;
      const { output } = await run(
        sandbox,
        `umask; for f in '${workspace}' '${home}' '${tmp}'; do touch "$f/x" && echo ok; done`,
      );
      assert.equal(output, '0022\nok\nok\nok\n');
    });

    it('cannot dump core or gain privileges', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const { output } = await run(sandbox, 'ulimit -c; ulimit -Hc; grep NoNewPrivs /proc/self/status');
      assert.equal(output, '0\n0\nNoNewPrivs:\t1\n');
    });

    it('is chosen before the node when memory runs out', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      assert.ok(Number((await run(sandbox, 'cat /proc/self/oom_score_adj')).output) > 600);
    });
  });
}

describe('the output of a command', () => {
  it('that nobody reads pauses the command, and is complete when it is read at last', async () => {
    await using node = await supervised('none');
    await using sandbox = await node.open();
    const progress = join(sandbox.folders.home, 'progress');
    const running = start(
      sandbox,
      'i=0; while [ $i -lt 400 ]; do head -c 1000 /dev/zero; i=$((i+1)); echo $i > ~/progress; done; : > ~/done',
    );
    const { readFile } = await import('node:fs/promises');
    const written = async () => Number((await readFile(progress, 'utf8').catch(() => '0')).trim() || '0');
    await until('the pipe is full', async () => (await written()) > 50);
    let last = -1;
    await until('the command stands still', async () => {
      const now = await written();
      const isStill = now === last;
      last = now;
      await new Promise(resolve => setTimeout(resolve, 200));
      return isStill;
    });
    assert.ok(last < 200, `It went on to ${last} of 400 KB`);
    assert.equal((await read(running)).length, 400_000);
    assert.deepEqual(await running.ended, { kind: 'exited', code: 0 });
  });

  it('of one flood does not hold up another command', async () => {
    await using node = await supervised('none');
    await using flooded = await node.open();
    await using other = await node.open();
    const flood = start(flooded, 'yes');
    assert.equal((await run(other, 'echo through')).output, 'through\n');
    await flooded.kill();
    await read(flood);
    assert.deepEqual(await flood.ended, { kind: 'killed', signal: 'SIGKILL', byUs: true });
  });

  it('stays open for what the command has left running, and ends when that is killed', async () => {
    await using node = await supervised('none');
    await using sandbox = await node.open();
    const running = start(sandbox, 'echo first; (while sleep 0.05; do echo later; done) & exit 0');
    assert.deepEqual(await running.ended, { kind: 'exited', code: 0 });
    let text = '';
    for await (const bytes of running.output) {
      text += Buffer.from(bytes);
      if (text.includes('later')) await sandbox.kill();
    }
    assert.match(text, /^first\nlater\n/);
  });

  it('is cut when the sandbox is disposed of before it was read', async () => {
    await using node = await supervised('none');
    const sandbox = await node.open();
    const running = start(sandbox, 'head -c 50000 /dev/zero; sleep 1000');
    await sandbox[Symbol.asyncDispose]();
    await read(running);
    assert.equal((await running.ended).kind, 'killed');
  });
});

describe('a sandbox', () => {
  it('runs one command at a time', async () => {
    await using node = await supervised('none');
    await using sandbox = await node.open();
    const running = start(sandbox, 'sleep 1000');
    assert.throws(() => start(sandbox, 'true'), /two commands at a time/);
    await sandbox.kill();
    await running.ended;
  });

  it('takes no files any more once a command has run, since its folders may hold links then', async () => {
    await using node = await supervised('none');
    await using sandbox = await node.open();
    await run(sandbox, 'true');
    await assert.rejects(sandbox.adopt(sandbox.folders.workspace), /has run/);
  });

  it('takes no files from outside of its folders', async () => {
    await using node = await supervised('none');
    await using sandbox = await node.open();
    await assert.rejects(sandbox.adopt('/etc'), /not in its folders/);
    await assert.rejects(sandbox.adopt(join(sandbox.folders.workspace, '../../..')), /not in its folders/);
  });
});
