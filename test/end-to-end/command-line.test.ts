import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  type Finished,
  programUnderTest,
  type RunOptions,
  simpleCi,
  start,
  temporaryFolder,
} from '../support/simple-ci.ts';
import { createClient } from '../../shared/client.ts';
import { eventually } from '../support/test-tasks.ts';

interface Place {
  /** The workspace. */
  readonly folder: string;
  readonly home: string;
  readonly options: RunOptions & { readonly env: Readonly<Record<string, string>> };
  run(...args: string[]): Promise<Finished>;
  start(...args: string[]): Promise<Watched>;
  /** The same on a terminal without a size, which `script` makes; what is shown there is its `out()`. */
  terminal(...args: string[]): Promise<Watched>;
}

interface Watched {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  /** All it printed so far. */
  out(): string;
  err(): string;
}

/** A user of a machine on which nothing is set up, in a folder with these files. */
async function place(t: TestContext, files: Record<string, string | Buffer> = {}): Promise<Place> {
  const home = await temporaryFolder();
  t.after(() => home[Symbol.asyncDispose]());
  const folder = join(home.path, 'project');
  await mkdir(folder);
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  const options = { cwd: folder, env: { HOME: home.path } };
  return {
    folder,
    home: home.path,
    options,
    run: (...args) => simpleCi(args, options),
    start: async (...args) => watch(t, await start(args, options)),
    terminal: async (...args) => {
      const line = [...(await programUnderTest()), ...args].join(' ');
      const env = { ...options.env, PATH: process.env.PATH ?? '', TERM: 'xterm' };
      return watch(t, spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], { cwd: folder, env }));
    },
  };
}

function watch(t: TestContext, child: ChildProcess): Watched {
  let out = '';
  let err = '';
  child.stdout?.on('data', chunk => (out += chunk));
  child.stderr?.on('data', chunk => (err += chunk));
  t.after(() => child.kill('SIGKILL'));
  return { child, ended: once(child, 'close').then(([code]) => code), out: () => out, err: () => err };
}

/** The id in the last lines of a run. */
function idOf({ stderr }: Finished): string {
  return /task (\w{27})/.exec(stderr)![1]!;
}

/** A process that has ended may still wait for its parent to take note. */
async function isRunning(pid: string): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return status !== undefined && !/\) Z /.test(status);
}

test('a command runs with nothing set up, and its output is alone on standard output', async t => {
  const { run } = await place(t, { 'greeting.txt': 'hello from a file' });
  const { code, stdout, stderr } = await run('run', '--', 'cat', 'greeting.txt');
  assert.equal(code, 0, stderr);
  assert.equal(stdout, '▶ cat greeting.txt\nhello from a file\n');
  assert.match(stderr, /^Workspace: 1 file, 17 bytes; all sent, as \d+ bytes\n/);
  assert.match(
    stderr,
    /✓ passed {2}cat greeting\.txt\n {2}took .*, attempt 1 on run-\w+, task \w{27}\n {2}its log {3}simple-ci logs \w{27}\n$/,
  );
});

test('the second run of the same files sends nothing', async t => {
  const { run } = await place(t, { a: '1' });
  await run('run', '--', 'true');
  assert.match((await run('run', '--', 'true')).stderr, /^Workspace: 1 file, 1 byte; nothing is new\n/);
});

test('after an edit only what is new is sent', async t => {
  const { run, folder } = await place(t, { large: randomBytes(300_000), small: '1' });
  await run('run', '--', 'true');
  await writeFile(join(folder, 'small'), '2');
  assert.match(
    (await run('run', '--', 'true')).stderr,
    /^Workspace: 2 files, 300 KB; \d{1,3} bytes sent of what is new\n/,
  );
});

test('the exit code of run tells how the task ended', async t => {
  const { run } = await place(t);
  const codes = await Promise.all([
    run('run', '--', 'sh', '-c', 'exit 7'),
    run('run', '--timeout', '1s', '--', 'sleep', '60'),
    run('run', '--secret', 'NOT_THERE', '--', 'true'),
    run('run', 'no-such-task'),
  ]);
  assert.deepEqual(
    codes.map(({ code }) => code),
    [1, 4, 2, 2],
    codes.map(({ stderr }) => stderr).join('\n'),
  );
});

test('an artifact that is written to a pipe or a link leaves it what it is', async t => {
  const { run, folder } = await place(t, { target: 'old' });
  const id = idOf(await run('run', '--artifact', 'x', '--', 'sh', '-c', 'echo new > x'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  const read = readFile(join(folder, 'pipe'), 'utf8');
  assert.equal((await run('artifacts', id, 'x', '-o', 'pipe')).code, 0);
  assert.ok((await lstat(join(folder, 'pipe'))).isFIFO());
  assert.equal(await read, 'new\n');
  await symlink('target', join(folder, 'link'));
  assert.equal((await run('artifacts', id, 'x', '-o', 'link')).code, 0);
  assert.ok((await lstat(join(folder, 'link'))).isSymbolicLink());
  assert.equal(await readFile(join(folder, 'target'), 'utf8'), 'new\n');
  await symlink('not-there-yet', join(folder, 'early'));
  assert.equal((await run('artifacts', id, 'x', '-o', 'early')).code, 0);
  assert.ok((await lstat(join(folder, 'early'))).isSymbolicLink());
  assert.equal(await readFile(join(folder, 'not-there-yet'), 'utf8'), 'new\n');
  await symlink('round', join(folder, 'round'));
  const nowhere = await run('artifacts', id, 'x', '-o', 'round');
  assert.equal(nowhere.code, 2);
  assert.match(nowhere.stderr, /Cannot save artifact as its place is a link that leads nowhere: ".*\/round"/);
});

test('commands find the programs that the user finds, and get the variables that were given', async t => {
  const { folder, options } = await place(t);
  await writeFile(join(folder, 'my-tool'), '#!/bin/sh\necho "tool: $MINE $YOURS"\n', { mode: 0o755 });
  const env = { ...options.env, PATH: `${folder}:${process.env.PATH}`, YOURS: 'two' };
  const { stdout } = await simpleCi(['run', '-e', 'MINE=one', '-e', 'YOURS', '--', 'my-tool'], { ...options, env });
  assert.match(stdout, /\ntool: one two\n$/);
});

test('the log and the artifacts of a run can be had afterwards', async t => {
  const { run, folder } = await place(t);
  const first = await run(
    'run',
    '--artifact',
    'out/**',
    '--',
    'sh',
    '-c',
    'mkdir -p out/deep; printf "\\377" | tee out/deep/x; : > out/y',
  );
  assert.equal(first.code, 0, first.stderr);
  const id = idOf(first);
  assert.deepEqual((await run('logs', id, '--raw')).bytes, Buffer.from([0xff]));
  const { artifacts } = JSON.parse((await run('artifacts', id, '--json')).stdout);
  assert.deepEqual(
    artifacts.map(({ path, size }: { path: string; size: number }) => [path, size]),
    [
      ['out/deep/x', 1],
      ['out/y', 0],
    ],
  );
  const fetched = await run('artifacts', id, '-o', 'kept');
  assert.match(fetched.stderr, /Fetched 2 artifacts\.\n$/);
  assert.deepEqual(await readFile(join(folder, 'kept/out/deep/x')), Buffer.from([0xff]));
  assert.deepEqual((await readdir(join(folder, 'kept/out'))).sort(), ['deep', 'y']);
  assert.deepEqual((await run('artifacts', id, 'out/deep/x', '-o', '-')).bytes, Buffer.from([0xff]));
  assert.deepEqual((await run('artifacts', id, 'out/deep', '-o', '-')).bytes, Buffer.from([0xff]));
  const several = await run('artifacts', id, 'out', '-o', '-');
  assert.deepEqual([several.code, several.stdout], [2, '']);
  assert.match(several.stderr, /Cannot write to standard output as that takes one artifact: 2 artifacts\n$/);
  assert.equal((await run('artifacts', id, '*/*/x', '-o', 'some')).code, 0);
  assert.match((await run('artifacts', id, 'out/deep/', '-o', 'some')).stdout, /some\/out\/deep\/x\n$/);
  assert.equal((await run('artifacts', id, './out/y', '-o', 'y')).code, 0);
  assert.deepEqual(await readFile(join(folder, 'y')), Buffer.alloc(0));
  assert.match(
    (await run('artifacts', id, 'nothing')).stderr,
    /Cannot find artifact "nothing": there is out\/deep\/x, out\/y/,
  );
});

test('Ctrl-C cancels the task, and nothing of it is left', async t => {
  const { start, folder } = await place(t);
  const running = await start('run', '--', 'sh', '-c', `echo $$ > ${folder}/pid; echo started; sleep 300`);
  await eventually('it runs', () => /^started$/m.test(running.out()));
  running.child.kill('SIGINT');
  assert.equal(await running.ended, 130);
  assert.match(running.err(), /Cancelling.*■ cancelled/s);
  const pid = (await readFile(join(folder, 'pid'), 'utf8')).trim();
  assert.equal(await isRunning(pid), false);
});

test('a terminal that is closed cancels the task of an embedded node, and its log is kept to the end', async t => {
  const { start, run } = await place(t);
  const running = await start(
    'run',
    '--',
    'sh',
    '-c',
    'trap "echo bye; exit" TERM; echo begun; while :; do sleep 0.1; done',
  );
  await eventually('it runs', () => /^begun$/m.test(running.out()));
  running.child.kill('SIGHUP');
  assert.equal(await running.ended, 130);
  const [task] = JSON.parse((await run('tasks', '--json')).stdout).tasks as { id: string; outcome?: string }[];
  assert.equal(task?.outcome, 'cancelled');
  assert.match((await run('logs', task.id)).stdout, /begun\n[\s\S]*bye\n/);
});

test('what a command leaves on the disk when it is killed is cleared away by the next one', async t => {
  const { start, run, home } = await place(t, { file: 'content' });
  const command = await start('run', '--', 'sh', '-c', 'echo begun; sleep 3600');
  await eventually('it runs', () => command.out().includes('begun') || undefined);
  const sandboxes = join(home, '.local/share/simple-ci/local/sandboxes');
  const left = async () => (await readdir(sandboxes, { recursive: true })).filter(path => path !== hostname());
  command.child.kill('SIGKILL');
  await command.ended;
  assert.ok((await left()).some(path => path.endsWith('workspace/file')));
  assert.equal((await run('run', '--', 'true')).code, 0);
  assert.deepEqual(await left(), []);
});

test('a task whose command was killed is cancelled, once the node in it is known to be dead', async t => {
  const { start, run } = await place(t);
  const command = await start('run', '--', 'sh', '-c', 'echo begun; sleep 3600');
  await eventually('it runs', () => command.out().includes('begun') || undefined);
  command.child.kill('SIGKILL');
  await command.ended;
  const [task] = JSON.parse((await run('tasks', '--json')).stdout).tasks as { id: string; state: string }[];
  assert.equal(task?.state, 'running');
  await eventually(
    'it is over',
    async () => {
      const { stdout } = await run('task', task!.id, '--json');
      const { state, result } = JSON.parse(stdout);
      if (state !== 'finished') return undefined;
      assert.equal(result.outcome, 'cancelled');
      assert.match(result.message, /^Cancelled by .*: the run that it was part of has ended without waiting for it$/);
      return true;
    },
    90_000,
  );
});

test('an interrupt that comes twice at once, as from npm, is one', async t => {
  const { start } = await place(t);
  const running = await start('run', '--', 'sh', '-c', 'echo started; sleep 300');
  await eventually('it runs', () => /^started$/m.test(running.out()));
  running.child.kill('SIGINT');
  running.child.kill('SIGTERM');
  assert.equal(await running.ended, 130);
  assert.match(running.err(), /■ cancelled/);
});

test('when nobody reads its output, a run goes on to its verdict', async t => {
  const { start, folder } = await place(t);
  const running = await start('run', '--', 'sh', '-c', `seq 1 200000; touch ${folder}/done; exit 1`);
  running.child.stdout!.once('data', () => running.child.stdout!.destroy());
  assert.equal(await running.ended, 1, running.err());
  assert.ok((await readdir(folder)).includes('done'));
});

test('when nobody reads a list or a log, the command ends quietly', async t => {
  const { run, start } = await place(t);
  const first = await run('run', '--', 'seq', '1', '200000');
  const reading = await start('logs', idOf(first));
  reading.child.stdout!.once('data', () => reading.child.stdout!.destroy());
  assert.equal(await reading.ended, 0);
  assert.equal(reading.err(), '');
});

test('Ctrl-D to a question is no answer', async t => {
  const { terminal } = await place(t);
  const asking = await terminal('login', 'http://127.0.0.1:9');
  await eventually('it asks', () => asking.out().includes('Token for') || undefined);
  asking.child.stdin!.write('\u0004');
  assert.equal(await asking.ended, 2, asking.out());
  assert.match(asking.out(), /Cannot go on as nothing was typed/);
});

test('a terminal that does not know its size is taken for a usual one', async t => {
  const { terminal } = await place(t);
  const watching = await terminal('top');
  await eventually('there is something to see', () => watching.out().includes('0 running') || undefined);
  watching.child.stdin!.write('\u0003');
  assert.equal(await watching.ended, 130, watching.out());
});

test('what is piped has no colours, unless they are demanded', async t => {
  const { run, options } = await place(t);
  const plain = await run('run', '--', 'printf', '\\033[31mred\\033[0m\\n');
  assert.doesNotMatch(plain.stdout + plain.stderr, /\u001b/);
  const forced = await simpleCi(['tasks'], { ...options, env: { ...options.env, FORCE_COLOR: '1' } });
  assert.match(forced.stdout, /\u001b\[32m✓ passed/);
  const refused = await simpleCi(['tasks'], { ...options, env: { ...options.env, FORCE_COLOR: '1', NO_COLOR: '1' } });
  assert.doesNotMatch(refused.stdout, /\u001b/);
});

test('more than 50 MB are not sent without a terminal to ask on, but with --yes', async t => {
  const { run } = await place(t, { large: randomBytes(51_000_000) });
  const { code, stderr } = await run('run', '--', 'true');
  assert.equal(code, 2);
  assert.match(stderr, /Cannot send workspace without --yes as it is large: 1 file, 51 MB: 51 MB to send/);
  assert.deepEqual(JSON.parse((await run('tasks', '--json')).stdout), { tasks: [] });
  assert.equal((await run('run', '--yes', '--', 'test', '-s', 'large')).code, 0);
});

test('untracked files that look like secrets are not sent unless it is allowed', async t => {
  const { run } = await place(t, { '.env': 'PASSWORD=hunter2\n' });
  const { code, stderr } = await run('run', '--', 'true');
  assert.equal(code, 2);
  assert.match(stderr, /^simple-ci: Cannot send workspace as untracked files look like secrets: "\.env"/);
  assert.equal((await run('run', '--allow-secrets', '--', 'test', '-s', '.env')).code, 0);
});

test('a task cannot be left to a cluster that is not there', async t => {
  const { run } = await place(t);
  const { code, stderr } = await run('run', '--detach', '--', 'true');
  assert.equal(code, 2);
  assert.match(stderr, /there is no cluster to run it/);
});

test('without a name or a command, run lists what there is', async t => {
  const { run } = await place(t, {
    'simple-ci.yaml': 'tasks:\n  test: npm test\n',
    'package.json': '{"scripts": {"build": "tsc"}}',
    Makefile: 'all:\n\techo all\n',
  });
  const { code, stdout } = await run('run', '--json');
  assert.equal(code, 0);
  assert.deepEqual(
    JSON.parse(stdout).tasks.map(({ name, from }: { name: string; from: string }) => [name, from]),
    [
      ['test', 'simple-ci.yaml'],
      ['build', 'package.json'],
      ['all', 'Makefile'],
    ],
  );
});

test('a run with --json prints a line for each thing that happens, and nothing else', async t => {
  const { run } = await place(t);
  const { stdout } = await run('run', '--json', '--', 'sh', '-c', 'printf a; printf "\\377"; exit 3');
  const events = stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line));
  assert.deepEqual(
    [...new Set(events.map(({ event }) => event))].filter(event => event !== 'queued'),
    [
      'workspace',
      'sending',
      'sent',
      'submitted',
      'attempt',
      'step-started',
      'output',
      'step-finished',
      'attempt-ended',
      'finished',
    ],
  );
  const printed = events.map(({ text = '', base64 = '' }) => text || Buffer.from(base64, 'base64').toString('latin1'));
  assert.ok(printed.join('').includes('a'));
  const { exitCode, result } = events.at(-1);
  assert.deepEqual([exitCode, result.outcome], [1, 'failed']);
});

test('two runs at once do not get in each other’s way, also when one ends first', async t => {
  const { run, start, folder } = await place(t);
  const wait = `until [ -e ${folder}/go ]; do sleep 0.1; done; echo survived`;
  const long = await start('run', '--', 'sh', '-c', `echo started; ${wait}`);
  const other = run('run', '--', 'echo', 'other');
  await eventually('it runs', () => long.out().includes('started'));
  const short = await run('run', '--', 'echo', 'short');
  assert.deepEqual([short.code, (await other).code], [0, 0], short.stderr + (await other).stderr);
  await writeFile(join(folder, 'go'), '');
  assert.equal(await long.ended, 0, long.err());
  assert.match(long.out(), /started\nsurvived\n$/);
  assert.match(long.err(), /attempt 1 on/);
});

test('a failed run can be tried again', async t => {
  const { run } = await place(t);
  const first = await run('run', '--', 'sh', '-c', 'echo again; exit 1');
  const second = await run('retry', idOf(first));
  assert.equal(second.code, 1);
  assert.match(second.stdout, /\nagain\n/);
  assert.notEqual(idOf(second), idOf(first));
});

test('a node tells where it is and what it is, drains when it is told to, and ends with 0', async t => {
  const { start, home } = await place(t);
  const node = await start(
    'node',
    '--cluster',
    'acme/ci',
    '--listen',
    '127.0.0.1:0',
    '--data',
    home,
    '--log-level',
    'warn',
  );
  await eventually('it is ready', () => node.out().includes('Ready at http://127.0.0.1:'));
  assert.match(node.out(), /^Formed cluster acme\/ci$/m);
  assert.match(node.out(), /^Admin token of this new cluster, shown this once: sci_\w+$/m);
  node.child.kill('SIGTERM');
  assert.equal(await node.ended, 0);
  assert.match(node.out(), /\nDraining: .*\nStopped\.\n$/s);
});

test('a node whose terminal is closed drains', async t => {
  const { start, home } = await place(t);
  const node = await start('node', '--cluster', 'acme/ci', '--listen', '127.0.0.1:0', '--data', home);
  await eventually('it is ready', () => node.out().includes('Ready at http://127.0.0.1:'));
  node.child.kill('SIGHUP');
  assert.equal(await node.ended, 0);
  assert.match(node.out(), /\nDraining: .*\nStopped\.\n$/s);
});

test('a node that cannot start says why in one line', async t => {
  const { run } = await place(t);
  const taken = createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await once(taken, 'listening');
  const { port } = taken.address() as { port: number };
  const refusals = await Promise.all([
    run('node'),
    run('node', '--cluster', 'Acme/../ci'),
    run('node', '--cluster', 'acme', '--listen', 'nowhere'),
    run('node', '--cluster', 'acme', '--s3', 'http://bucket'),
    run('node', '--cluster', 'acme', '--etcd', 'https://a:2379,http://b:2379'),
    run('node', '--cluster', 'acme', '--secrets-key', '/nowhere'),
    run('node', '--cluster', 'acme', '--listen', `127.0.0.1:${port}`),
  ]);
  for (const { code, stderr } of refusals) {
    assert.ok(code === 2 || code === 3, stderr);
    assert.match(stderr, /(^|\n)simple-ci: Cannot [^\n]*(\nTry: [^\n]*)?\n$/);
  }
});

test('the version is alone on standard output', async t => {
  const { run } = await place(t);
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  for (const words of [['--version'], ['version'], ['-V']])
    assert.deepEqual(await run(...words).then(({ code, stdout, stderr }) => [code, stdout, stderr]), [
      0,
      `${version}\n`,
      '',
    ]);
});

test('a wrong command line is 2, and leads to help', async t => {
  const { run } = await place(t);
  const { code, stdout, stderr } = await run('tasks', '--sate', 'queued');
  assert.deepEqual([code, stdout], [2, '']);
  assert.equal(
    stderr,
    'simple-ci: Cannot run `tasks` as it has no option --sate; did you mean --state?\nTry: simple-ci help tasks\n',
  );
});

test('a task file with mistakes is refused with their places', async t => {
  const { run } = await place(t, { 'simple-ci.yaml': 'tasks:\n  test:\n    step: 1\n' });
  const { code, stderr } = await run('run', 'test');
  assert.equal(code, 2);
  assert.match(stderr, /simple-ci\.yaml:\d+:\d+: /);
});

test('a node that is attached gives a token to whoever starts it, and ends when that one does', async t => {
  const { home, start } = await place(t);
  const words = ['--cluster', 'own', '--listen', '127.0.0.1:0', '--data', join(home, 'data'), '--attached', '--json'];
  const node = await start('node', ...words);
  const ready = await eventually('it is ready', () =>
    node
      .out()
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line))
      .find(({ event }) => event === 'ready'),
  );
  await using client = createClient({ urls: [ready.address], token: ready.token });
  assert.equal((await client.call('cluster', {}, AbortSignal.timeout(30_000))).role, 'admin');
  node.child.stdin?.end();
  assert.equal(await node.ended, 0, node.err());
});

test('files that look like secrets are named to programs too, before they are refused', async t => {
  const { run } = await place(t, { '.env': 'PASSWORD=x\n', 'a.txt': 'a' });
  const { code, stdout } = await run('run', '--json', '--', 'true');
  assert.equal(code, 2);
  const [{ event, files, secrets }, ...others] = stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line));
  assert.deepEqual([event, files, secrets.map(({ path }: { path: string }) => path)], ['workspace', 2, ['.env']]);
  assert.deepEqual(others, []);
});

test('a user who is a number and nothing else, as in some containers, runs a node where it is told to keep its data', async t => {
  const nobody = ['unshare', '--user', '--map-user=123456', '--'];
  const { status, stderr } = spawnSync(nobody[0]!, [...nobody.slice(1), 'true'], { encoding: 'utf8' });
  if (status !== 0) return t.skip(`no user without a name can be had here: ${stderr}`);
  const { home, folder: cwd } = await place(t);
  const words = ['--cluster', 'own', '--listen', '127.0.0.1:0', '--data', join(home, 'data')];
  const node = watch(t, await start(['node', ...words], { cwd, by: nobody }));
  const said = () => node.out() + node.err();
  const isReady = () => {
    assert.equal(node.child.exitCode, null, said());
    return /^Ready at /m.test(said()) || undefined;
  };
  await eventually('it is ready', isReady, 60_000);
  node.child.kill('SIGTERM');
  assert.equal(await node.ended, 0, said());
});
