import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { basename, delimiter, dirname, join } from 'node:path';
import { before, describe, test, type TestContext } from 'node:test';
import manifest from '../../package.json' with { type: 'json' };
import { createClient } from '../../shared/client.ts';
import { builtBinary, temporaryFolder } from '../support/simple-ci.ts';
import { eventually } from '../support/test-tasks.ts';

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Bill {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly components: readonly { readonly name: string; readonly version: string }[];
}

/** A deadline for a day on which the machine is busy. */
const PATIENT = { timeout: 300_000 };

/** Its own processes may be slow to start on a busy machine, and it must not run for ever. */
function run(argv: readonly string[], env: Readonly<Record<string, string>>, cwd: string): Promise<Ended> {
  const [program = '', ...args] = argv;
  return new Promise(resolve => {
    execFile(program, args, { env, cwd, ...PATIENT }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

async function freshFolder(t: TestContext): Promise<string> {
  const folder = await temporaryFolder();
  t.after(() => folder[Symbol.asyncDispose]());
  return folder.path;
}

/** A machine that has the executable, in a folder of its own, and otherwise nothing: no Node, no variables but these. */
async function bareMachine(t: TestContext, binary: string) {
  const root = await freshFolder(t);
  const program = join(root, 'program', 'simple-ci');
  const folder = join(root, 'empty');
  const home = join(root, 'home');
  for (const path of [join(root, 'program'), folder, home]) await mkdir(path);
  await copyFile(binary, program);
  return { program, folder, env: { PATH: '', HOME: home } };
}

/** A PATH on which git is, and nothing else. */
async function onlyGit(t: TestContext): Promise<string> {
  const folder = await freshFolder(t);
  for (const place of (process.env.PATH ?? '').split(delimiter))
    if ((await readdir(place).catch((): string[] => [])).includes('git')) {
      await symlink(join(place, 'git'), join(folder, 'git'));
      return folder;
    }
  throw new Error(`Cannot find git on the PATH: ${process.env.PATH}`);
}

/** `simple-ci node`, until it is ready. */
async function startNode(t: TestContext, argv: readonly string[], env: Record<string, string>, cwd: string) {
  const data = await freshFolder(t);
  const words = ['node', '--json', '--cluster', 'bare', '--listen', '127.0.0.1:0', '--data', data];
  const child = spawn(argv[0]!, [...argv.slice(1), ...words], { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (text += chunk));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const told = (event: string) =>
    eventually(
      `the node tells ${event}`,
      () => {
        if (child.exitCode !== null) throw new Error(`It ended with ${child.exitCode}: ${text}`);
        const lines = text.split('\n').filter(line => line.startsWith('{'));
        return lines.map(line => JSON.parse(line)).find(line => line.event === event);
      },
      120_000,
    );
  const { token } = await told('admin-token');
  const { address } = await told('ready');
  return {
    child,
    ended,
    output: () => text,
    env: { SIMPLE_CI_URL: address as string, SIMPLE_CI_TOKEN: token as string },
  };
}

describe('the executable', () => {
  let binary: string;
  before(async () => {
    binary = await builtBinary();
  });

  test('tells what it is with an empty PATH, in an empty folder, on a file system that cannot be written to', async t => {
    const { program, folder, env } = await bareMachine(t, binary);
    const readOnly = ['bwrap', '--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc', '--', program];
    const plain = await run([...readOnly, '--version'], { ...env, PATH: process.env.PATH ?? '' }, folder);
    assert.deepEqual(plain, { code: 0, stdout: `${manifest.version}\n`, stderr: '' });
    const { code, stdout, stderr } = await run([program, 'version', '--json'], env, folder);
    assert.deepEqual([code, stderr], [0, '']);
    const told = JSON.parse(stdout);
    assert.equal(told.version, manifest.version);
    assert.equal(told.node, process.versions.node);
    assert.match(told.commit ?? '', /^([0-9a-f]{40})?$/);
    assert.match(told.built ?? '', /^(\d{4}-\d\d-\d\dT.*Z)?$/);
    assert.deepEqual(told.capabilities.executable, true);
    assert.ok(told.capabilities.isolation.includes('none'));
  });

  test('comes with its sum and with a list of what is in it', async () => {
    const dist = dirname(binary);
    const sums = await readFile(join(dist, 'SHA256SUMS'), 'utf8');
    const sum = createHash('sha256')
      .update(await readFile(binary))
      .digest('hex');
    assert.ok(sums.includes(`${sum}  ${basename(binary)}\n`), sums);
    const bill = JSON.parse(await readFile(`${binary}.cdx.json`, 'utf8')) as Bill;
    assert.deepEqual([bill.bomFormat, bill.specVersion], ['CycloneDX', '1.6']);
    const versions = new Map(bill.components.map(({ name, version }) => [name, version]));
    assert.equal(versions.get('node'), process.versions.node);
    assert.equal(versions.get('etcd3'), manifest.dependencies.etcd3);
    assert.equal(versions.get('ws'), manifest.dependencies.ws);
    for (const tool of Object.keys(manifest.devDependencies)) assert.equal(versions.get(tool), undefined, tool);
  });

  test('leaves no file behind when it starts', async t => {
    const { program, folder, env } = await bareMachine(t, binary);
    const tmp = await freshFolder(t);
    for (const words of [['--version'], ['help'], ['version', '--json'], ['completion', 'bash']])
      assert.equal((await run([program, ...words], { ...env, TMPDIR: tmp }, folder)).code, 0);
    assert.deepEqual(await Promise.all([env.HOME, tmp, folder].map(place => readdir(place))), [[], [], []]);
  });

  test('does not care for options that are meant for another Node', async t => {
    const { program, folder, env } = await bareMachine(t, binary);
    const { code, stderr } = await run([program, '--version'], { ...env, NODE_OPTIONS: '--no-such-option' }, folder);
    assert.deepEqual([code, stderr], [0, '']);
  });

  test('is a node that runs a task, with an empty PATH and nothing installed', PATIENT, async t => {
    const { program, folder, env } = await bareMachine(t, binary);
    const node = await startNode(t, [program], env, folder);
    const task = join(folder, 'task.json');
    await writeFile(task, JSON.stringify({ name: 'bare', steps: [{ run: 'echo ran; echo "$SIMPLE_CI"' }] }));
    const { code, stdout, stderr } = await run([program, 'submit', task, '--follow'], { ...env, ...node.env }, folder);
    assert.equal(code, 0, `${stderr}\n${node.output()}`);
    assert.match(stdout, /\nran\n/);
    node.child.kill('SIGTERM');
    assert.equal(await node.ended, 0, node.output());
  });

  test('says that git is missing when a workspace is to be sent without', PATIENT, async t => {
    const { program, folder, env } = await bareMachine(t, binary);
    const { code, stderr } = await run([program, 'run', '--', '/bin/echo'], env, folder);
    assert.equal(code, 2);
    assert.match(stderr, /^simple-ci: Cannot take snapshot as there is no git on this machine: install git/);
  });

  test('sends a workspace and runs a command in it with git alone on the PATH', PATIENT, async t => {
    const { program, folder, env } = await bareMachine(t, binary);
    await writeFile(join(folder, 'greeting'), 'from a file\n');
    const PATH = await onlyGit(t);
    const { code, stdout, stderr } = await run(
      [program, 'run', '--', '/bin/cat', 'greeting'],
      { ...env, PATH },
      folder,
    );
    assert.equal(code, 0, stderr);
    assert.match(stdout, /\nfrom a file\n/);
  });

  test(
    'as the first process of a container leaves no orphan of a task dead and unnoticed, and drains',
    PATIENT,
    async t => {
      if (process.getuid?.() !== 0) return t.skip('only root may make a namespace of processes');
      const { program, folder, env } = await bareMachine(t, binary);
      const container = ['/usr/bin/unshare', '--fork', '--pid', '--mount-proc', '--kill-child', program];
      const node = await startNode(t, container, { ...env, SIMPLE_CI_ISOLATION: 'none' }, folder);
      await using client = createClient({ urls: [node.env.SIMPLE_CI_URL], token: node.env.SIMPLE_CI_TOKEN });
      const orphans = 'for i in 1 2 3; do (setsid sleep 300 >/dev/null 2>&1 &); (setsid sleep 0.1 &); done';
      const task = join(folder, 'task.json');
      await writeFile(task, JSON.stringify({ name: 'orphans', steps: [{ run: orphans }] }));
      const submitted = await run([program, 'submit', task, '--follow'], { ...env, ...node.env }, folder);
      assert.equal(submitted.code, 0, submitted.stderr);
      const first = await firstChild(node.child);
      await eventually('nothing is dead and unnoticed', async () => (await deadIn(first)).length === 0, 60_000);
      assert.equal((await client.call('cluster', {}, AbortSignal.timeout(60_000))).role, 'admin');
      process.kill(first, 'SIGTERM');
      assert.equal(await node.ended, 0, node.output());
      assert.match(node.output(), /"event":"stopped"/);
    },
  );
});

async function firstChild({ pid }: ChildProcess): Promise<number> {
  return Number((await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ')[0]);
}

/** Zombies in the namespace of this process. */
async function deadIn(first: number): Promise<string[]> {
  const namespaceOf = (pid: number | string) => readlink(`/proc/${pid}/ns/pid`).catch(() => '');
  const own = await namespaceOf(first);
  const dead: string[] = [];
  for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    if (/^State:\tZ/m.test(status) && (await namespaceOf(pid)) === own) dead.push(pid);
  }
  return dead;
}
