import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Isolation, Sandbox } from '../../../node-runtime/runner/sandbox.ts';
import type { LeaseId } from '../../../node-runtime/store/store.ts';
import { momentOf, systemClock } from '../../../node-runtime/system/clock.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';
import { isDead, ISOLATIONS, LEASE, oddSeconds, processesWith, run, start, supervised } from './supervised.ts';

const COUNT = 'while sleep 0.02; do echo >> ~/count; done';

for (const isolation of ISOLATIONS) {
  describe(`a task with isolation "${isolation}"`, () => {
    it('stands still when the lease is not renewed, and goes on when thawed after a renewal', async () => {
      await using node = await supervised(isolation, { freezeAfterMs: 500 });
      const renewing = node.keepRenewing();
      await using sandbox = await node.open();
      const running = start(sandbox, COUNT);
      await until('it counts', () => count(sandbox) > 3);
      renewing[Symbol.dispose]();
      const last = await standstill(sandbox);
      using _ = node.keepRenewing();
      await pause(200);
      assert.equal(count(sandbox), last, 'A renewal alone does not say that the claim is still ours');
      await goesOn(sandbox, last);
      await sandbox.kill();
      await running.ended;
    });

    it('does not go on, whatever its node says, before a renewal of the very lease that it was claimed under', async () => {
      await using node = await supervised(isolation, { freezeAfterMs: 500 });
      const renewing = node.keepRenewing();
      await using sandbox = await node.open();
      const running = start(sandbox, COUNT);
      await until('it counts', () => count(sandbox) > 3);
      renewing[Symbol.dispose]();
      const last = await standstill(sandbox);
      await assert.rejects(sandbox.thaw(), /Cannot let a task go on as no renewal of its lease was heard of lately/);
      node.renew('43' as LeaseId);
      await assert.rejects(sandbox.thaw(), /no renewal of its lease/);
      await pause(200);
      assert.equal(count(sandbox), last);
      using _ = node.keepRenewing();
      await goesOn(sandbox, last);
      await sandbox.kill();
      await running.ended;
    });

    it('does not begin for a node that was stopped before it could say so, until that has renewed the lease', async () => {
      await using node = await standIn(isolation, 'exec sleep $SECONDS_', { freezeAfterMs: 1000, stops: true });
      await until('it is stopped', () => isStopped(node.pid));
      const stopped = systemClock.monotonic();
      await until('its lease may have ended', () => systemClock.monotonic() - stopped > 1500);
      process.kill(node.pid, 'SIGCONT');
      await once(node.process.stdout!, 'data');
      await pause(300);
      // Bubblewrap's holder of the namespaces is there before any command.
      const most = isolation === 'bubblewrap' ? 1 : 0;
      assert.ok(childrenOf(supervisorOf(node.pid)).length <= most, 'The command was started');
      await until('it runs', () => {
        process.kill(node.pid, 'SIGUSR2');
        return processesWith(node.seconds).length > 0;
      });
    });

    it('is killed when it has stood still for too long', async () => {
      await using node = await supervised(isolation, { freezeAfterMs: 200, killAfterFrozenMs: 300 });
      await using sandbox = await node.open();
      const seconds = oddSeconds();
      const running = start(sandbox, `setsid sleep $S & ${COUNT}`, { S: seconds });
      assert.deepEqual(await running.ended, { kind: 'killed', signal: 'SIGKILL', byUs: true });
      await until('all of it is dead', () => processesWith(seconds).length === 0);
    });

    it('is dead when its supervisor was killed', async () => {
      await using node = await supervised(isolation);
      await using sandbox = await node.open();
      const seconds = oddSeconds();
      const script = `(env -i /usr/bin/setsid /bin/sleep ${seconds} > /dev/null 2>&1 &); nohup sleep ${seconds} & exec sleep ${seconds}`;
      const running = start(sandbox, script);
      await until('it runs', () => processesWith(seconds).length >= 3);
      const lost = once(node.supervisor.lost, 'abort');
      process.kill(supervisorOf(process.pid), 'SIGKILL');
      await lost;
      assert.deepEqual(processesWith(seconds), []);
      assert.deepEqual(await running.ended, { kind: 'killed', signal: 'SIGKILL', byUs: false });
      await sandbox.kill();
      await assert.rejects(node.open(), /supervisor process was lost/);
    });

    it('is dead within a second when its node was killed, and the supervisor has gone', async () => {
      await using node = await standIn(isolation, `(setsid sleep $SECONDS_ &); exec sleep $SECONDS_`);
      await until('it runs', () => processesWith(node.seconds).length === 2);
      const supervisor = supervisorOf(node.pid);
      node.process.kill('SIGKILL');
      await until('all is dead', () => processesWith(node.seconds).length === 0 && isDead(supervisor), 30_000);
    });

    it('is dead when node and supervisor were killed at once', async () => {
      await using node = await standIn(
        isolation,
        `(env -i /usr/bin/setsid /bin/sleep $SECONDS_ > /dev/null 2>&1 &); exec sleep $SECONDS_`,
      );
      await until('it runs', () => processesWith(node.seconds).length === 2);
      const supervisor = supervisorOf(node.pid);
      process.kill(supervisor, 'SIGKILL');
      node.process.kill('SIGKILL');
      await until('all is dead', () => processesWith(node.seconds).length === 0);
    });

    it('is frozen while its node is stopped, and still is when that goes on', async () => {
      await using node = await standIn(isolation, `echo; ${COUNT}`, { freezeAfterMs: 1000 });
      await until('it counts', () => size(join(node.home, 'count')) > 3);
      process.kill(node.pid, 'SIGSTOP');
      const last = await standstill({ folders: { home: node.home } });
      process.kill(node.pid, 'SIGCONT');
      await pause(200);
      assert.equal(size(join(node.home, 'count')), last);
    });
  });
}

describe('what a dead node has left', () => {
  for (const isolation of ISOLATIONS)
    it(`with isolation "${isolation}" is killed and removed when another one starts`, async () => {
      const script = '(env -i /usr/bin/setsid /bin/sleep $SECONDS_ > /dev/null 2>&1 &); echo; exec sleep $SECONDS_';
      await using dead = await standIn(isolation, script);
      await until('it runs', () => processesWith(dead.seconds).length === 2);
      // Nothing of the node is let to clean up.
      const launcher = childrenOf(dead.pid)[0]!;
      const supervisor = supervisorOf(dead.pid);
      for (const pid of [launcher, supervisor]) process.kill(pid, 'SIGSTOP');
      dead.process.kill('SIGKILL');
      for (const pid of [launcher, supervisor]) process.kill(pid, 'SIGKILL');
      await once(dead.process, 'exit');
      await using next = await standIn(isolation, 'echo', { root: dead.root });
      assert.deepEqual(processesWith(dead.seconds), []);
      assert.notEqual(next.home, '');
      assert.equal(size(dead.home), -1);
    });

  it('is left alone while the node lives', async () => {
    await using alive = await standIn('none', 'echo; exec sleep $SECONDS_');
    await using _ = await standIn('none', 'echo', { root: alive.root });
    assert.equal(processesWith(alive.seconds).length, 1);
    assert.notEqual(size(alive.home), -1);
  });
});

describe('a supervisor', () => {
  it('is not ended by signals that are meant for its node', async () => {
    await using node = await supervised('none');
    const pid = supervisorOf(process.pid);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid, signal);
    await using sandbox = await node.open();
    assert.equal((await run(sandbox, 'echo here')).output, 'here\n');
  });

  it('that is killed leaves no word of that on the terminal of its node', async () => {
    await using node = await standIn('none', 'echo; exec sleep $SECONDS_');
    let words = '';
    node.process.stderr!.on('data', bytes => {
      words += bytes;
    });
    process.kill(supervisorOf(node.pid), 'SIGKILL');
    await until('its launcher has ended too', () => childrenOf(node.pid).length === 0);
    node.process.kill('SIGKILL');
    await once(node.process, 'close');
    assert.equal(words, '');
  });

  it('is a session of its own, so that Ctrl-C at the terminal is the node to decide on', async () => {
    await using _ = await supervised('none');
    const pid = supervisorOf(process.pid);
    const session = (of: number) => readFileSync(`/proc/${of}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[3];
    assert.notEqual(session(pid), session(process.pid));
  });

  it('has nothing in its environment but a path', async () => {
    await using _ = await supervised('none');
    const variables = readFileSync(`/proc/${supervisorOf(process.pid)}/environ`, 'utf8')
      .split('\0')
      .map(entry => entry.split('=')[0]!);
    assert.deepEqual(
      variables.filter(name => !['PATH', 'PWD', '_', 'SHLVL', 'OLDPWD'].includes(name)),
      [''],
    );
  });

  it('that was itself held up reads the renewals of that time before it freezes anything', async () => {
    await using node = await supervised('none', { freezeAfterMs: 3000 });
    using _ = node.keepRenewing();
    await using sandbox = await node.open();
    const running = start(sandbox, COUNT);
    await until('it counts', () => count(sandbox) > 3);
    const pid = supervisorOf(process.pid);
    process.kill(pid, 'SIGSTOP');
    const began = systemClock.monotonic();
    await until('a renewal is too old', () => systemClock.monotonic() - began > 3500);
    process.kill(pid, 'SIGCONT');
    // An answer means that it is at work again.
    assert.equal(await sandbox.stoodStill(began), 0);
    await until('it has looked', () => systemClock.monotonic() - began > 4000);
    assert.equal(await sandbox.stoodStill(began), 0);
    await sandbox.kill();
    await running.ended;
  });

  it('counts the time since a renewal was sent, not since it was told', async () => {
    await using node = await supervised('none', { freezeAfterMs: 1500 });
    await using sandbox = await node.open();
    const running = start(sandbox, COUNT);
    await until('it counts', () => count(sandbox) > 0);
    // Renewals of long ago keep coming.
    const sent = momentOf(systemClock);
    const timer = setInterval(() => node.supervisor.renewed({ lease: LEASE, sent }), 20);
    await standstill(sandbox);
    clearInterval(timer);
    await sandbox.kill();
    await running.ended;
  });
});

interface StandIn extends AsyncDisposable {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly root: string;
  readonly home: string;
  readonly seconds: string;
}

/**
 * Another process with a supervisor, whose sandbox runs a script. Resolves when that has printed something or runs, or when the
 * process is about to stop itself instead.
 */
async function standIn(
  isolation: Isolation,
  script: string,
  options: { readonly freezeAfterMs?: number; readonly root?: string; readonly stops?: boolean } = {},
): Promise<StandIn> {
  const { freezeAfterMs = 3_600_000, stops = false } = options;
  const folder = await temporaryFolder();
  await chmod(folder.path, 0o711);
  const root = options.root ?? folder.path;
  const seconds = oddSeconds();
  const args = [root, isolation, String(freezeAfterMs), script.replaceAll('$SECONDS_', seconds), stops ? 'stops' : ''];
  const child = spawn(process.execPath, [fileURLToPath(new URL('stand-in.ts', import.meta.url)), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stderr!.pipe(process.stderr, { end: false });
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  return {
    process: child,
    pid: child.pid!,
    root,
    home: line.toString().split('\n')[0]!,
    seconds,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      await until('its tasks are dead', () => processesWith(seconds).length === 0);
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** By a signal. */
function isStopped(pid: number): boolean {
  return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

/** Waits until the count does not change any more, and returns it. */
async function standstill(sandbox: { readonly folders: Pick<Sandbox['folders'], 'home'> }): Promise<number> {
  const file = join(sandbox.folders.home, 'count');
  let last = -1;
  await until('it stands still', async () => {
    const before = last;
    last = size(file);
    await pause(500);
    return before === last && size(file) === last;
  });
  return last;
}

/** A machine too busy to send a renewal in time freezes it again: then it is thawed again, as a node does. */
async function goesOn(sandbox: Sandbox, last: number): Promise<void> {
  await until('it counts on', async () => {
    await sandbox.thaw().catch(() => undefined);
    return count(sandbox) > last + 3;
  });
}

function count(sandbox: Sandbox): number {
  return size(join(sandbox.folders.home, 'count'));
}

function size(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? -1;
}

/** Of a node: its child is the launcher, whose child is the supervisor, maybe by way of others that became it. */
function supervisorOf(node: number): number {
  const found = childrenOf(node)
    .flatMap(childrenOf)
    .filter(pid => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('supervise'));
  assert.equal(found.length, 1);
  return found[0]!;
}

function childrenOf(parent: number): number[] {
  return readdirSync(`/proc/${parent}/task`).flatMap(thread =>
    readFileSync(`/proc/${parent}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}
