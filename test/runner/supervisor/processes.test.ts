import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Sandbox } from '../../../node-runtime/runner/sandbox.ts';
import { until } from '../../support/until.ts';
import { finish, ISOLATIONS, oddSeconds, PATH, processesWith, read, run, start, supervised } from './supervised.ts';

/** Ways in which a process gets away from who started it. Each runs `$1` for good. */
const ESCAPES = {
  'in the background': 'sleep $S &',
  'with nohup': 'nohup sleep $S > /dev/null 2>&1 &',
  'into a session of its own': 'setsid sleep $S > /dev/null 2>&1 &',
  'by a double fork': '(setsid sh -c "sleep $S > /dev/null 2>&1 < /dev/null & exit 0" &)',
  'with an empty environment, from a session whose leader is gone':
    '(env -i /usr/bin/setsid /bin/sh -c "/bin/sleep $S > /dev/null 2>&1 < /dev/null & exit 0" &); cd /',
};

/** Appends to a file for as long as it is let. */
const COUNT = 'while sleep 0.02; do echo >> ~/count; done';

/** The same in the second thread of a program, when the first has ended: a process then looks dead at first sight. */
const COUNT_IN_THREAD = `
import ctypes, os, threading, time
def count():
    while True:
        time.sleep(0.02)
        if 'zombie' in open('/proc/self/status').read():
            open(os.environ['HOME'] + '/count', 'a').write('x')
threading.Thread(target=count).start()
ctypes.CDLL(None).pthread_exit(None)
`;
/** A child counts while its parent waits, as shells with job control do, for the child to end or to be stopped. */
const LOOK_AFTER_CHILD = `
import os, time
home = os.environ['HOME']
child = os.fork()
while child == 0:
    if os.path.exists(home + '/done'): os._exit(0)
    open(home + '/count', 'a').write('x')
    time.sleep(0.01)
os._exit(1 if os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1]) else 0)
`;
const noPython = spawnSync('python3', ['--version']).status !== 0 && 'python3 is not installed';

for (const isolation of ISOLATIONS) {
  describe(`processes with isolation "${isolation}"`, () => {
    for (const [how, script] of Object.entries(ESCAPES)) {
      it(`that get away ${how} go on after their command, until the sandbox is killed`, async () => {
        await using node = await supervised(isolation);
        await using sandbox = await node.open();
        const seconds = oddSeconds();
        const running = start(sandbox, script, { S: seconds });
        assert.deepEqual(await running.ended, { kind: 'exited', code: 0 });
        await until('the process has got away', () => processesWith(seconds).length === 1);
        await sandbox.kill();
        assert.deepEqual(processesWith(seconds), []);
        await read(running);
      });
    }

    it('are all dead when the sandbox has been disposed of', async () => {
      await using node = await supervised(isolation);
      const sandbox = await node.open();
      const seconds = oddSeconds();
      start(sandbox, `${Object.values(ESCAPES).join('\n')}\nsleep $S`, { S: seconds });
      await until('all have started', () => processesWith(seconds).length === 6);
      await sandbox[Symbol.asyncDispose]();
      assert.deepEqual(processesWith(seconds), []);
    });

    it('that multiply without end are all killed', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const seconds = oddSeconds();
      // Each generation starts the next and ends: there is never the same process twice.
      const script =
        'echo "sh ./next & sleep 0.01; sleep $S & exit 0" > next; for i in 1 2 3; do setsid sh ./next & done; wait';
      const running = start(sandbox, script, { S: seconds });
      await until('there are many', () => processesWith(seconds).length > 20);
      await sandbox.kill();
      assert.deepEqual(processesWith(seconds), []);
      assert.deepEqual(processesWith('./next'), []);
      await read(running);
    });

    it('stand still when frozen, go on when thawed, and can be killed in between', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const running = start(sandbox, `setsid sh -c '${COUNT}' & ${COUNT}`);
      let isDone = false;
      void running.ended.then(end => {
        isDone = end.kind !== 'killed' || !end.byUs;
      });
      await until('it counts', () => count(sandbox) > 3);
      await sandbox.freeze();
      const frozen = count(sandbox);
      await pause(300);
      assert.equal(count(sandbox), frozen);
      await sandbox.thaw();
      await until('it counts on or has ended', () => isDone || count(sandbox) > frozen + 3);
      assert.equal(isDone, false, 'It has ended by something else');
      await sandbox.freeze();
      await sandbox.freeze();
      await sandbox.kill();
      assert.deepEqual(await running.ended, { kind: 'killed', signal: 'SIGKILL', byUs: true });
    });

    it('that live on in other threads than their first stand still, go on and are killed like all', {
      skip: noPython,
    }, async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const env = { PATH, HOME: sandbox.inside.home };
      const running = sandbox.run({ argv: ['python3', '-c', COUNT_IN_THREAD], cwd: sandbox.inside.workspace, env });
      const finished = finish(running);
      let early: Awaited<typeof finished> | undefined;
      void finished.then(result => {
        early = result;
      });
      // For more than a second: of young processes the supervisor looks at threads too.
      await until('it counts or has ended', () => early || count(sandbox) > 75);
      assert.equal(early, undefined, 'It has ended by itself');
      await sandbox.freeze();
      const frozen = count(sandbox);
      await pause(300);
      assert.equal(count(sandbox), frozen);
      await sandbox.thaw();
      await until('it counts on', () => count(sandbox) > frozen + 3);
      await sandbox.kill();
      const killed = count(sandbox);
      assert.deepEqual(await running.ended, { kind: 'killed', signal: 'SIGKILL', byUs: true });
      await pause(300);
      assert.equal(count(sandbox), killed);
    });

    it('that look after stopped children never learn that these were frozen', { skip: noPython }, async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const env = { PATH, HOME: sandbox.inside.home };
      const running = sandbox.run({ argv: ['python3', '-c', LOOK_AFTER_CHILD], cwd: sandbox.inside.workspace, env });
      const finished = finish(running);
      let early: Awaited<typeof finished> | undefined;
      void finished.then(result => {
        early = result;
      });
      for (let round = 0; round < 30; round++) {
        const before = count(sandbox);
        await until('it counts or has ended', () => early || count(sandbox) > before + 1);
        assert.equal(early, undefined, `It has ended in round ${round}`);
        await sandbox.freeze();
        await sandbox.thaw();
      }
      await writeFile(join(sandbox.folders.home, 'done'), '');
      assert.deepEqual(await finished, { end: { kind: 'exited', code: 0 }, output: '' });
    });

    it('of a frozen sandbox start when it is thawed', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      await sandbox.freeze();
      const running = start(sandbox, 'touch ~/count');
      await pause(200);
      assert.equal(count(sandbox), -1);
      await sandbox.thaw();
      assert.deepEqual(await running.ended, { kind: 'exited', code: 0 });
      assert.equal(count(sandbox), 0);
    });

    it('are asked to end before they are killed', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const running = start(sandbox, "trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 0.05; done");
      let text = '';
      for await (const bytes of running.output) {
        text += Buffer.from(bytes);
        if (text === 'ready\n') running.stop(60_000);
      }
      assert.match(text, /^ready\n(.*\n)?asked\n$/s);
      assert.deepEqual(await running.ended, { kind: 'exited', code: 5 });
    });

    it('that end by being asked have been killed by us', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const running = start(sandbox, 'echo ready; exec sleep 1000');
      for await (const _ of running.output) running.stop(60_000);
      assert.deepEqual(await running.ended, { kind: 'killed', signal: 'SIGTERM', byUs: true });
    });

    it('that do not listen are killed after the grace', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const seconds = oddSeconds();
      const running = start(sandbox, "trap '' TERM; (setsid sleep $S &); echo ready; while :; do sleep 0.05; done", {
        S: seconds,
      });
      for await (const _ of running.output) running.stop(100);
      assert.deepEqual(await running.ended, { kind: 'killed', signal: 'SIGKILL', byUs: true });
      assert.deepEqual(processesWith(seconds), []);
    });

    it('killed from outside, as for lack of memory, were not killed by us', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const seconds = oddSeconds();
      const running = sandbox.run({ argv: ['/bin/sleep', seconds], cwd: sandbox.inside.workspace, env: {} });
      const sleeper = () =>
        processesWith(seconds).filter(pid => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n');
      await until('it runs', () => sleeper().length === 1);
      process.kill(sleeper()[0]!, 'SIGKILL');
      assert.deepEqual(await running.ended, { kind: 'killed', signal: 'SIGKILL', byUs: false });
    });

    it('of another sandbox are left alone', async () => {
      await using node = await supervised(isolation);
      await using one = await node.open();
      await using other = await node.open();
      const running = start(one, 'sleep 1000');
      const survivor = start(other, `${COUNT}`);
      await until('it counts', () => count(other) > 0);
      await one.kill();
      await running.ended;
      const before = count(other);
      await until('it counts on', () => count(other) > before + 3);
      await other.kill();
      await survivor.ended;
    });
  });
}

describe('fifty sandboxes', () => {
  for (const isolation of ISOLATIONS) {
    it(`with isolation "${isolation}" run at once, and nothing of them is left`, async () => {
      await using node = await supervised(isolation);
      const seconds = oddSeconds();
      const sandboxes = await Promise.all(Array.from({ length: 50 }, () => node.open()));
      const ran = await Promise.all(
        sandboxes.map((sandbox, i) => run(sandbox, `sleep $S > /dev/null 2>&1 & echo ${i}`, { S: seconds })),
      );
      assert.deepEqual(
        ran.map(({ output }) => output),
        sandboxes.map((_, i) => `${i}\n`),
      );
      await until('all sleep', () => processesWith(seconds).length === 50);
      await Promise.all(sandboxes.map(sandbox => sandbox[Symbol.asyncDispose]()));
      assert.deepEqual(processesWith(seconds), []);
    });
  }
});

/** Bytes in the file that COUNT appends to; -1 before there is one. */
function count(sandbox: Sandbox): number {
  return statSync(join(sandbox.folders.home, 'count'), { throwIfNoEntry: false })?.size ?? -1;
}
