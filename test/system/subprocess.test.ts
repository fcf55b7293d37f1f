import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DeadlineExceeded, neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { runProcess, streamProcess } from '../../node-runtime/system/subprocess.ts';
import { isCiError } from '../../shared/errors.ts';

const base = { cwd: '/', env: { PATH: process.env.PATH ?? '/usr/bin:/bin' }, signal: neverAborted };

describe('runProcess()', () => {
  test('gives the exit code, and both outputs byte for byte', async () => {
    const result = await runProcess({ ...base, argv: ['sh', '-c', "printf 'a\\377'; echo bad >&2; exit 3"] });
    assert.deepEqual(result, { code: 3, stdout: Buffer.from([0x61, 0xff]), stderr: 'bad\n' });
  });

  test('passes the input and nothing of its own environment', async () => {
    const { stdout } = await runProcess({
      ...base,
      env: { PATH: base.env.PATH, A: 'b' },
      argv: ['sh', '-c', 'cat; env'],
      input: 'in\n',
    });
    const lines = stdout.toString().trim().split('\n');
    assert.equal(lines[0], 'in');
    assert.ok(lines.includes('A=b'));
    assert.ok(!lines.some(line => line.startsWith('HOME=')));
  });

  test('kills the program when its signal fires, and rejects with the reason', async () => {
    const stop = new AbortController();
    const running = runProcess({ ...base, argv: ['sleep', '600'], signal: stop.signal });
    stop.abort(new Error('enough'));
    await assert.rejects(running, /enough/);
    await assert.rejects(runProcess({ ...base, argv: ['sleep', '600'], signal: stop.signal }), /enough/);
  });

  test('kills a program that takes too long', async () => {
    const running = runProcess({ ...base, argv: ['sleep', '600'], timeoutMs: 20 });
    await assert.rejects(running, DeadlineExceeded);
  });

  test('refuses more output than it was told to keep', async () => {
    const running = runProcess({ ...base, argv: ['cat', '/dev/zero'], maxOutputBytes: 100_000 });
    await assert.rejects(running, (error: unknown) => isCiError(error, 'too-large'));
  });

  test('says which program there is not', async () => {
    const running = runProcess({ ...base, argv: ['no-such-program-anywhere'] });
    await assert.rejects(
      running,
      (error: unknown) => isCiError(error, 'not-found') && /no-such-program/.test(error.message),
    );
  });
});

describe('streamProcess()', () => {
  test('keeps the output of a program that ended before anybody read it', async () => {
    const { stdout, ended } = streamProcess({ ...base, argv: ['echo', 'kept'] });
    await systemClock.sleep(100, neverAborted);
    assert.equal(Buffer.concat(await Array.fromAsync(stdout)).toString(), 'kept\n');
    assert.equal((await ended).code, 0);
  });
});
