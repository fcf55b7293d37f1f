import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { cancelTask } from '../../node-runtime/queue/cancel.ts';
import { readTaskState } from '../../node-runtime/queue/records.ts';
import { createPrepareSource } from '../../node-runtime/runner/prepare-source.ts';
import type { Supervisor } from '../../node-runtime/runner/sandbox.ts';
import { momentOf, neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { CiError } from '../../shared/errors.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { plainSupervisor, taskRunner } from '../support/task-runner.ts';
import { eventually } from '../support/test-tasks.ts';
import { ISOLATIONS, isDead, oddSeconds, processesWith, supervised } from './supervisor/supervised.ts';

let supervisor: Supervisor;
before(async () => {
  supervisor = await plainSupervisor();
});
after(() => supervisor[Symbol.asyncDispose]());

const signal = neverAborted;
const noBubblewrap = !ISOLATIONS.includes('bubblewrap') && 'bubblewrap does not work here';

test('a task whose steps all exit with 0 has passed, with its output in the log and a result for each step', async () => {
  await using it = await taskRunner(supervisor);
  const result = await it.run({ steps: [{ name: 'greet', run: 'echo hello' }, { run: 'echo there >&2' }] });
  assert.equal(result.outcome, 'passed', result.message);
  assert.equal(result.output, 'hello\nthere\n');
  assert.deepEqual(result.log, { bytes: 12, lines: 2 });
  assert.deepEqual(
    result.steps.map(({ name, outcome, exitCode }) => [name, outcome, exitCode]),
    [
      ['greet', 'passed', 0],
      ['echo there >&2', 'passed', 0],
    ],
  );
});

test('the first step that fails decides, and later ones are skipped', async () => {
  await using it = await taskRunner(supervisor);
  const result = await it.run({ steps: [{ run: 'true' }, { name: 'bad', run: 'exit 3' }, { run: 'echo never' }] });
  assert.equal(result.outcome, 'failed');
  assert.match(result.message, /Step 2 "bad": It exited with code 3/);
  assert.deepEqual(
    result.steps.map(({ outcome }) => outcome),
    ['passed', 'failed', 'skipped'],
  );
  assert.equal(result.output, '');
});

test('a step that may fail does not fail its task', async () => {
  await using it = await taskRunner(supervisor);
  const result = await it.run({ steps: [{ run: 'exit 3', continueOnError: true }, { run: 'echo on' }] });
  assert.equal(result.outcome, 'passed');
  assert.deepEqual(
    result.steps.map(({ outcome }) => outcome),
    ['failed', 'passed'],
  );
  assert.equal(result.output, 'on\n');
});

test('a shell stops at the first failing command, also within a pipe', async () => {
  await using it = await taskRunner(supervisor);
  const result = await it.run({ steps: [{ shell: 'bash', run: 'false | true\necho never' }] });
  assert.equal(result.outcome, 'failed');
  assert.equal(result.output, '');
});

test('a step whose program does not exist has failed, and says which', async () => {
  await using it = await taskRunner(supervisor);
  const result = await it.run({ steps: [{ run: 'x', shell: ['/no/such/shell'] }] });
  assert.equal(result.outcome, 'failed');
  assert.match(result.message, /no such program/);
});

test('a step that kills itself by a signal has failed, and says which signal', async () => {
  await using it = await taskRunner(supervisor);
  const result = await it.run({ steps: [{ run: 'kill -SEGV $$' }] });
  assert.equal(result.outcome, 'failed');
  assert.equal(result.steps[0]?.signal, 'SIGSEGV');
});

for (const [what, changes, outcome, message] of [
  ['a task that runs longer than its timeout', { timeout: '300ms' }, 'timed-out', /timeout of 300 ms/],
  ['a step that runs longer than its own', { step: { timeout: 0.3 } }, 'timed-out', /longer than its timeout/],
  ['a task that prints nothing for too long', { idleTimeout: '300ms' }, 'idle-timed-out', /printed nothing/],
] as const) {
  test(`${what} has ${outcome}, and nothing of it is left`, async () => {
    const seconds = oddSeconds();
    await using it = await taskRunner(supervisor);
    const { step = {}, ...rest } = changes as { step?: object };
    const result = await it.run({ ...rest, steps: [{ run: `setsid sleep ${seconds} & sleep ${seconds}`, ...step }] });
    assert.equal(result.outcome, outcome, result.message);
    assert.match(result.message, message);
    assert.deepEqual(processesWith(seconds), []);
  });
}

test('output keeps a task from timing out idle', async () => {
  await using it = await taskRunner(supervisor);
  const run = 'for i in 1 2 3 4 5 6; do echo $i; sleep 0.3; done';
  const result = await it.run({ idleTimeout: '1500ms', steps: [{ run }] });
  assert.equal(result.outcome, 'passed', result.message);
});

for (const [what, source] of [
  ['git server', (port: number) => ({ type: 'git', url: `https://127.0.0.1:${port}/a.git`, ref: 'main' }) as const],
  ['object store', () => ({ type: 'snapshot', commit: 'a'.repeat(40), tree: 'b'.repeat(40) }) as const],
] as const) {
  test(`a task whose ${what} does not answer has timed out before its first step, and says that it was the source`, async () => {
    await using server = await silentServer();
    await using folder = await temporaryFolder();
    const prepareSource = createPrepareSource({ cacheDir: folder.path, clock: systemClock });
    await using it = await taskRunner(supervisor, { prepareSource });
    it.objects.fault = (operation, _key, stopped) => (operation === 'get' ? aborted(stopped) : undefined);
    const id = await it.submit({
      timeout: '1s',
      source: source(server.port),
      artifacts: ['**'],
      steps: [{ run: 'true' }],
    });
    const result = await it.result(id);
    assert.equal(result.outcome, 'timed-out', result.message);
    assert.match(result.message, /^Cannot prepare the source as that took longer than the task's timeout of 1\.0 s$/);
    assert.deepEqual([result.steps, result.artifacts.count, result.attempt], [[], 0, 1]);
  });
}

test('the source and the steps share the task’s timeout', async () => {
  await using it = await taskRunner(supervisor, {
    prepareSource: async (_context, stopped) => {
      await systemClock.sleep(1500, stopped);
      return undefined;
    },
  });
  const result = await it.run({ timeout: '2s', steps: [{ run: 'sleep 1.5' }] });
  assert.equal(result.outcome, 'timed-out', result.message);
  assert.deepEqual(
    result.steps.map(({ outcome }) => outcome),
    ['timed-out'],
  );
});

test('a time limit longer than timers can count does not fire at once', async () => {
  await using it = await taskRunner(supervisor);
  const result = await it.run({ timeout: '90d', idleTimeout: '80d', steps: [{ run: 'sleep 0.2', timeout: '60d' }] });
  assert.equal(result.outcome, 'passed', result.message);
});

test('a cancelled task is stopped, keeps its log and artifacts, and says who asked', async () => {
  const seconds = oddSeconds();
  await using it = await taskRunner(supervisor);
  const id = await it.submit({
    artifacts: ['kept'],
    steps: [{ run: `echo begun; echo x > kept; sleep ${seconds}` }, { run: 'echo never' }],
  });
  await eventually('it runs', () => processesWith(seconds).length > 0 || undefined);
  await cancelTask(it.cluster, id, { by: 'ann' }, signal);
  const result = await it.result(id);
  assert.equal(result.outcome, 'cancelled');
  assert.match(result.message, /ann/);
  assert.deepEqual(
    result.steps.map(({ outcome }) => outcome),
    ['cancelled', 'skipped'],
  );
  assert.equal(await it.output(id, result.fence), 'begun\n');
  assert.equal(result.artifacts.count, 1);
  assert.deepEqual(processesWith(seconds), []);
});

test('a task whose process is killed from outside is run again, and has crashed when its budget is used up', async () => {
  const seconds = oddSeconds();
  await using it = await taskRunner(supervisor);
  const id = await it.submit({ attempts: { crashed: 2 }, steps: [{ shell: 'sh', run: `exec sleep ${seconds}` }] });
  const first = await eventually('the first attempt runs', () => processesWith(seconds)[0]);
  process.kill(first, 'SIGKILL');
  const second = await eventually('the second attempt runs', () =>
    processesWith(seconds).find(pid => pid !== first && !isDead(pid)),
  );
  process.kill(second, 'SIGKILL');
  const result = await it.result(id);
  assert.equal(result.outcome, 'crashed', result.message);
  assert.deepEqual(
    result.past.map(({ end }) => end),
    ['crashed', 'crashed'],
  );
});

test('a task that asks for a secret that is not there is invalid, and is not tried again', async () => {
  await using it = await taskRunner(supervisor);
  const result = await it.run({ secrets: ['NOT_THERE'] });
  assert.equal(result.outcome, 'invalid');
  assert.match(result.message, /NOT_THERE/);
  assert.deepEqual(result.past, []);
});

test('a task whose snapshot has gone is invalid, and says so in its log', async () => {
  await using folder = await temporaryFolder();
  const prepareSource = createPrepareSource({ cacheDir: folder.path, clock: systemClock });
  await using it = await taskRunner(supervisor, { prepareSource });
  const result = await it.run({ source: { type: 'snapshot', commit: 'a'.repeat(40), tree: 'b'.repeat(40) } });
  assert.equal(result.outcome, 'invalid');
  assert.match(result.notes.join(), /snapshot is not there/);
});

test('a node whose object store refuses it gives the task up: that is no verdict', async () => {
  await using it = await taskRunner(supervisor, {
    prepareSource: async ({ cluster }) => {
      await cluster.objects.get('some/pack', { signal });
      return undefined;
    },
  });
  it.objects.fault = operation => {
    if (operation === 'get')
      throw new CiError('forbidden', 'Cannot get object "some/pack" as these credentials may not do that');
  };
  const source = { type: 'snapshot', commit: 'a'.repeat(40), tree: 'b'.repeat(40) } as const;
  const result = await it.result(await it.submit({ attempts: { lost: 2 }, source }));
  assert.equal(result.outcome, 'infrastructure-lost', result.message);
});

test('a task whose git server cannot be reached is given up for its source: that says nothing about the node', async () => {
  await using folder = await temporaryFolder();
  const prepareSource = createPrepareSource({ cacheDir: folder.path, clock: systemClock });
  await using it = await taskRunner(supervisor, { prepareSource });
  const source = { type: 'git', url: 'https://127.0.0.1:1/x', ref: 'main' } as const;
  const result = await it.result(await it.submit({ attempts: { lost: 1 }, source }));
  assert.equal(result.outcome, 'infrastructure-lost', result.message);
  assert.deepEqual(
    result.past.map(({ end }) => end),
    ['infrastructure'],
  );
  assert.deepEqual(
    it.node.endings.map(ending => ending.kind === 'released' && ending.end),
    ['source'],
  );
});

test('a task for which no sandbox can be made is given up by the node, and has not failed', {
  skip: noBubblewrap,
}, async () => {
  await using node = await supervised('bubblewrap');
  await using it = await taskRunner(node.supervisor, {
    prepareSource: async ({ sandbox }) => {
      await rm(sandbox.folders.tmp, { recursive: true });
      return undefined;
    },
  });
  const result = await it.result(await it.submit({ attempts: { lost: 2 }, steps: [{ run: 'true' }] }));
  assert.equal(result.outcome, 'infrastructure-lost', result.message);
  assert.deepEqual(
    result.past.map(({ end }) => end),
    ['infrastructure', 'infrastructure'],
  );
  assert.match(result.past[0]?.message ?? '', /Cannot make a sandbox for a command as bubblewrap failed: .*tmp/);
});

test('a log that cannot be stored for good ends the attempt as lost by infrastructure, not the node', async () => {
  await using it = await taskRunner(supervisor, { storeTimeoutMs: 300 });
  it.objects.fault = operation => {
    if (operation === 'put') throw new CiError('unavailable', 'Cannot put object as the store is away');
  };
  const id = await it.submit({
    attempts: { lost: 2 },
    steps: [{ run: `trap '' TERM; while :; do echo line; sleep 0.01; done` }],
  });
  const result = await it.result(id);
  assert.equal(result.outcome, 'infrastructure-lost', result.message);
  assert.deepEqual(
    result.past.map(({ end }) => end),
    ['infrastructure', 'infrastructure'],
  );
  assert.match(result.past[0]?.message ?? '', /store is away/);
});

test('a task that its node hands back has its log stored to the end, with what it printed when it was stopped', async () => {
  await using it = await taskRunner(supervisor);
  const seconds = oddSeconds();
  const id = await it.submit({
    steps: [{ run: `trap 'echo cleaned up; exit 1' TERM; echo begun; sleep ${seconds} & wait` }],
  });
  await eventually('it runs', () => processesWith(seconds)[0]);
  await it.node.stop();
  const { lock, attempts } = await readTaskState(it.cluster, id, signal);
  const [past] = attempts!.value.past;
  assert.deepEqual([lock, past?.end], [undefined, 'drained']);
  const { text, notes, ends, reason } = await it.log(id, past!.fence);
  assert.deepEqual([text, reason], ['begun\ncleaned up\n', 'finished']);
  assert.deepEqual([ends, notes], [['stopped: The node drains'], ['Handed back by its node: The node drains']]);
  assert.ok(it.objects.objects.has(it.cluster.objectKeys.logManifest(id, past!.fence)));
});

test('an object store that does not take the log holds up the handing back of a task for a while only', async () => {
  await using it = await taskRunner(supervisor);
  const seconds = oddSeconds();
  const id = await it.submit({ steps: [{ run: `echo begun; exec sleep ${seconds}` }] });
  await eventually('it runs', () => processesWith(seconds)[0]);
  it.objects.fault = operation => {
    if (operation === 'put') throw new CiError('unavailable', 'Cannot put object as the store is away');
  };
  const began = systemClock.monotonic();
  await it.node.stop();
  const tookMs = systemClock.monotonic() - began;
  assert.ok(tookMs < 40_000, `${tookMs} ms`);
  const { attempts } = await readTaskState(it.cluster, id, signal);
  assert.deepEqual(
    attempts?.value.past.map(({ end }) => end),
    ['drained'],
  );
});

test('an attempt that its node gives up keeps its log, and says why in it', async () => {
  await using it = await taskRunner(supervisor, {
    prepareSource: async ({ log }) => {
      await log.write(Buffer.from('so far\n'));
      throw new CiError('unavailable', 'Cannot get object as the store is away');
    },
  });
  const id = await it.submit({ attempts: { lost: 1 } });
  const result = await it.result(id);
  const { text, notes, reason } = await it.log(id, result.past[0]!.fence);
  assert.deepEqual([text, reason], ['so far\n', 'finished']);
  assert.deepEqual(notes, ['Given up by its node: Cannot get object as the store is away']);
});

test('a supervisor that is lost under a task ends the attempt as crashed, with its log kept', async () => {
  await using own = await plainSupervisor();
  const seconds = oddSeconds();
  await using it = await taskRunner(own);
  const id = await it.submit({ attempts: { crashed: 1 }, steps: [{ run: `echo begun; exec sleep ${seconds}` }] });
  const pid = await eventually('it runs', () => processesWith(seconds)[0]);
  process.kill(parentOf(pid), 'SIGKILL');
  const result = await it.result(id);
  assert.equal(result.outcome, 'crashed', result.message);
  assert.deepEqual(processesWith(seconds), []);
  const { text, notes, reason } = await it.log(id, result.past[0]!.fence);
  assert.deepEqual([text, reason], ['begun\n', 'finished']);
  assert.deepEqual(notes, ['Given up by its node: The supervisor process was lost']);
});

test('a task sees the variables that are documented, its own and its step’s, and nothing of the node’s', async () => {
  process.env.PLANTED_CANARY = 'canary';
  await using it = await taskRunner(supervisor, { secrets: { TOKEN: 'hunter2-hunter2' } });
  const result = await it.run({
    secrets: ['TOKEN'],
    env: { FROM_TASK: 'task', BOTH: 'task' },
    steps: [{ shell: 'sh', run: 'env -u PWD -u SHLVL -u _ -u OLDPWD', env: { BOTH: 'step' } }],
  });
  delete process.env.PLANTED_CANARY;
  const seen = Object.fromEntries(
    result.output
      .trim()
      .split('\n')
      .map(line => line.split(/=(.*)/s).slice(0, 2)),
  );
  const { HOME, TMPDIR, SIMPLE_CI_WORKSPACE, ...rest } = seen;
  assert.ok(HOME && TMPDIR && SIMPLE_CI_WORKSPACE && new Set([HOME, TMPDIR, SIMPLE_CI_WORKSPACE]).size === 3);
  assert.deepEqual(rest, {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LANG: 'C.UTF-8',
    CI: 'true',
    SIMPLE_CI: 'true',
    SIMPLE_CI_CLUSTER: 'test/ci',
    SIMPLE_CI_TASK: result.id,
    SIMPLE_CI_ATTEMPT: '1',
    SIMPLE_CI_FENCE: String(result.fence),
    FROM_TASK: 'task',
    BOTH: 'step',
    TOKEN: '***',
  });
});

test('steps start in the workspace, in the task’s folder, or in their own', async () => {
  await using it = await taskRunner(supervisor);
  const result = await it.run({
    workingDirectory: 'a',
    steps: [
      { run: 'mkdir -p a b; pwd | sed "s|^$SIMPLE_CI_WORKSPACE||"', workingDirectory: '.' },
      { run: 'pwd | sed "s|^$SIMPLE_CI_WORKSPACE||"' },
      { run: 'pwd | sed "s|^$SIMPLE_CI_WORKSPACE||"', workingDirectory: './b/' },
    ],
  });
  assert.equal(result.output, '\n/a\n/b\n');
});

for (const isolation of ISOLATIONS)
  test(`a step in a folder that is not there has failed, and says so, with isolation "${isolation}"`, async () => {
    await using node = await supervised(isolation);
    await using it = await taskRunner(node.supervisor);
    const said = '"true": Its workingDirectory "missing" does not exist in the workspace';
    const own = await it.run({ steps: [{ run: 'true', workingDirectory: 'missing' }] });
    assert.deepEqual([own.outcome, own.message], ['failed', `Step 1 ${said}`]);
    const ofTask = await it.run({ workingDirectory: 'missing', steps: [{ run: 'true' }] });
    assert.deepEqual([ofTask.outcome, ofTask.message], ['failed', `Step 1 ${said}`]);
  });

test('a shell that is an argument list gets the path of the script, and the script arrives byte for byte', async () => {
  await using it = await taskRunner(supervisor);
  const script = 'for word in "$@" ünïcode; do echo "$0: $word"; done\n# \'"`$(x)';
  const result = await it.run({
    steps: [{ run: 'true' }, { shell: ['sh', '-e'], run: script }, { shell: ['cat'], run: script }],
  });
  assert.equal(result.outcome, 'passed', result.message);
  assert.match(result.output, /step-2: ünïcode\n/);
  assert.ok(result.output.endsWith(script));
});

test('what a step leaves running holds up no later step, goes on logging, and is killed at the end', async () => {
  const seconds = oddSeconds();
  await using it = await taskRunner(supervisor);
  const result = await it.run({
    steps: [
      { run: `(setsid sh -c 'sleep 0.3; echo from behind; exec sleep ${seconds}') &` },
      { run: 'echo next; until grep -q ready flag 2>/dev/null; do sleep 0.8; echo ready > flag; done' },
    ],
  });
  assert.equal(result.outcome, 'passed', result.message);
  assert.match(result.output, /next\n[\s\S]*from behind/);
  assert.deepEqual(processesWith(seconds), []);
});

test('an attempt whose claim is lost in mid-run is killed at once and writes nothing more', async () => {
  const seconds = oddSeconds();
  await using it = await taskRunner(supervisor, { slots: 1 });
  const id = await it.submit({
    artifacts: ['**'],
    steps: [{ run: `trap '' TERM; echo begun; touch kept; while :; do echo on; sleep 0.1; done; sleep ${seconds}` }],
  });
  const { lock } = await eventually('it logs', async () => {
    const state = await readTaskState(it.cluster, id, signal);
    return state.lock && (await it.output(id, state.lock.revision)).includes('on') ? state : undefined;
  });
  const begun = performance.now();
  await it.node.session.close(signal);
  await eventually('its slot is free', () => it.node.slots.used === 0 || undefined);
  assert.ok(performance.now() - begun < 8000, 'it was asked to end and waited for');
  const operations = it.objects.operations.length;
  assert.equal(it.objects.objects.has(it.cluster.objectKeys.artifactManifest(id, lock!.revision)), false);
  assert.equal(it.objects.objects.has(it.cluster.objectKeys.logManifest(id, lock!.revision)), false);
  await systemClock.sleep(700, signal);
  assert.equal(it.objects.operations.length, operations);
  assert.equal((await readTaskState(it.cluster, id, signal)).completed, undefined);
});

test('a task frozen while the store was silent goes on in the same attempt when the store is back', async () => {
  await using own = await plainSupervisor({ freezeAfterMs: 400 });
  await using it = await taskRunner(own);
  let renew = true;
  const { lease } = it.node.session;
  const timer = setInterval(() => renew && own.renewed({ lease, sent: momentOf(systemClock) }), 20);
  const seconds = oddSeconds();
  const id = await it.submit({
    steps: [{ run: `sleep ${seconds} & until [ -e go ]; do sleep 0.05; done; kill %1; echo went on` }],
  });
  const pid = await eventually('it runs', () => processesWith(seconds)[0]);
  renew = false;
  const state = () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.[0];
  await eventually('it stands still', () => state() === 'T' || undefined);
  renew = true;
  await eventually('it goes on', () => {
    it.node.session.recovered.notify();
    return state() === 'S' || undefined;
  });
  const workspace = readFileSync(`/proc/${pid}/environ`, 'utf8').match(/SIMPLE_CI_WORKSPACE=([^\0]*)/)?.[1];
  await writeFile(`${workspace}/go`, '');
  const result = await it.result(id);
  clearInterval(timer);
  assert.equal(result.outcome, 'passed', result.message);
  assert.equal(result.attempt, 1);
});

test('the time in which a task stood still counts for none of its limits', async () => {
  await using own = await plainSupervisor({ freezeAfterMs: 400 });
  await using it = await taskRunner(own);
  let renew = true;
  const { lease } = it.node.session;
  const timer = setInterval(() => renew && own.renewed({ lease, sent: momentOf(systemClock) }), 20);
  const seconds = oddSeconds();
  const run = `sleep ${seconds} & until [ -e go ]; do sleep 0.05; done; kill %1; echo went on`;
  const began = systemClock.monotonic();
  const id = await it.submit({ timeout: '6s', idleTimeout: '6s', steps: [{ run, timeout: '6s' }] });
  const pid = await eventually('it runs', () => processesWith(seconds)[0]);
  const workspace = readFileSync(`/proc/${pid}/environ`, 'utf8').match(/SIMPLE_CI_WORKSPACE=([^\0]*)/)?.[1];
  renew = false;
  await eventually('all its limits are over', () => systemClock.monotonic() - began > 7000 || undefined);
  assert.equal((await readTaskState(it.cluster, id, signal)).completed, undefined);
  await writeFile(`${workspace}/go`, '');
  renew = true;
  const result = await eventually('it is finished', async () => {
    it.node.session.recovered.notify();
    return (await readTaskState(it.cluster, id, signal)).completed?.value;
  });
  clearInterval(timer);
  assert.equal(result.outcome, 'passed', result.message);
});

test('a task that was frozen for too long and killed is given up, not blamed', async () => {
  await using own = await plainSupervisor({ freezeAfterMs: 500, killAfterFrozenMs: 300 });
  await using it = await taskRunner(own);
  let renew = true;
  const { lease } = it.node.session;
  const timer = setInterval(() => renew && own.renewed({ lease, sent: momentOf(systemClock) }), 20);
  const seconds = oddSeconds();
  const id = await it.submit({ attempts: { lost: 1, crashed: 1 }, steps: [{ run: `exec sleep ${seconds}` }] });
  await eventually('it runs', () => processesWith(seconds)[0]);
  renew = false;
  const result = await it.result(id);
  clearInterval(timer);
  assert.equal(result.outcome, 'infrastructure-lost', result.message);
});

test('steps leave no listeners behind on signals that live for ever', async () => {
  await using it = await taskRunner(supervisor);
  const listeners = () =>
    getEventListeners(neverAborted, 'abort').length + getEventListeners(supervisor.lost, 'abort').length;
  await it.run({ steps: [{ run: 'echo warm' }] });
  const before = listeners();
  await it.run({ steps: Array.from({ length: 20 }, () => ({ run: 'echo x; sleep 0.02 &' })) });
  assert.ok(listeners() <= before, `${listeners() - before} more`);
});

/** Accepts connections and says nothing. */
async function silentServer(): Promise<{ readonly port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function aborted(stopped: AbortSignal): Promise<never> {
  return new Promise((_, reject) => stopped.addEventListener('abort', () => reject(stopped.reason), { once: true }));
}

function parentOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1]);
}
