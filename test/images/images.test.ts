import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import manifest from '../../package.json' with { type: 'json' };
import { createClient } from '../../shared/client.ts';
import type { TaskView } from '../../shared/api.ts';
import type { TaskSpec } from '../../shared/task.ts';
import { builtBinary } from '../support/simple-ci.ts';
import { eventually } from '../support/test-tasks.ts';

// Run by scripts/test-images.mjs, which builds the images and says where they are kept.

const PATIENT = { timeout: 300_000 };
/** As a careful cluster runs it: nothing can be written but the data and temporary files, and no right is left. */
const RESTRICTED = [
  '--read-only',
  '--tmpfs',
  '/tmp:mode=1777',
  '--cap-drop',
  'ALL',
  '--security-opt',
  'no-new-privileges',
];

/** The least that a node needs whose tasks start containers: users of their own for these, and what runc mounts and sets. */
const STARTS_CONTAINERS = [
  '--read-only',
  '--tmpfs',
  '/tmp:mode=1777',
  '--cap-drop',
  'ALL',
  '--cap-add',
  'SETUID,SETGID',
  '--security-opt',
  'seccomp=unconfined',
  '--security-opt',
  'unmask=ALL',
];
/** No registry can be reached: the image is a shell out of the one that it runs in. */
const NESTED = `
  mkdir -p rootfs/bin && cp /bin/sh /usr/bin/id rootfs/bin
  for library in $(ldd /bin/sh /usr/bin/id | grep -o '/[^ :]*' | sort -u); do cp -L --parents $library rootfs; done
  tar -C rootfs -c . | podman import --quiet - localhost/nested
  podman run --rm --network host localhost/nested /bin/sh -c 'echo "inside as $(id -u)"'`;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function execute(program: string, args: readonly string[], env = process.env): Promise<Ended> {
  return new Promise(resolve => {
    // What runs a container that needs too much memory leaves a file where it was started.
    execFile(program, args, { ...PATIENT, env, cwd: tmpdir() }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

async function podman(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await execute('podman', args);
  assert.equal(code, 0, `podman ${args.join(' ')}: ${stderr}`);
  return stdout.trim();
}

/** A node in a container, with a store of its own in a volume. */
class ContainerNode {
  readonly name = `simple-ci-${randomUUID()}`;
  readonly volume: string;
  address = '';
  token = '';

  constructor(volume = `data-${randomUUID()}`) {
    this.volume = volume;
  }

  /** Podman gives a new volume what the image has in its place, its owner too. */
  async start(t: TestContext, options: readonly string[] = [], token?: string, target = 'default'): Promise<void> {
    t.after(() => execute('podman', ['rm', '--force', '--time', '0', this.name]));
    const place = ['--volume', `${this.volume}:/var/lib/simple-ci`, '--network', 'host'];
    const words = ['node', '--json', '--cluster', 'image', '--node-id', 'pod', '--listen', '127.0.0.1:0'];
    await podman(
      'run',
      '--detach',
      '--name',
      this.name,
      ...(target === 'podman' ? STARTS_CONTAINERS : RESTRICTED),
      ...place,
      ...options,
      `localhost/simple-ci:${target}`,
      ...words,
    );
    this.address = (await this.told('ready')).address ?? '';
    this.token = token ?? (await this.told('admin-token')).token ?? '';
  }

  async told(event: string): Promise<{ readonly address?: string; readonly token?: string }> {
    return eventually(
      `the container tells ${event}`,
      async () => {
        const lines = (await this.logs()).split('\n').filter(line => line.startsWith('{'));
        const found = lines.map(line => JSON.parse(line)).find(line => line.event === event);
        if (!found && (await this.state()) === 'exited') throw new Error(await this.logs());
        return found;
      },
      120_000,
    );
  }

  async logs(): Promise<string> {
    const { stdout, stderr } = await execute('podman', ['logs', this.name]);
    return stdout + stderr;
  }

  state(): Promise<string> {
    return podman('inspect', '--format', '{{.State.Status}}', this.name);
  }

  /** Submits a task, and gives what the command line shows of it until its end. */
  async run(task: Partial<TaskSpec>, ...options: string[]): Promise<Ended> {
    const folder = await mkdtemp(join(tmpdir(), 'simple-ci-task-'));
    const file = join(folder, 'task.json');
    await writeFile(file, JSON.stringify({ name: 'image', ...task }));
    const env = { ...process.env, SIMPLE_CI_URL: this.address, SIMPLE_CI_TOKEN: this.token };
    const ended = await execute(await builtBinary(), ['submit', file, ...options], env);
    await rm(folder, { recursive: true });
    return ended;
  }

  async view(id: string): Promise<TaskView> {
    await using client = createClient({ urls: [this.address], token: this.token });
    return await client.call('getTask', { params: { id } }, AbortSignal.timeout(60_000));
  }
}

describe('the images', () => {
  test('say who they are and what may stop them', async () => {
    for (const target of ['default', 'minimal', 'podman']) {
      const [image] = JSON.parse(await podman('inspect', '--type', 'image', `localhost/simple-ci:${target}`));
      const { User, StopSignal, Entrypoint, Labels } = image.Config;
      assert.deepEqual(
        [User, StopSignal, Entrypoint],
        ['10001:10001', 'SIGTERM', ['/usr/local/bin/simple-ci']],
        target,
      );
      assert.equal(Labels['org.opencontainers.image.title'], 'Simple CI');
      assert.equal(Labels['org.opencontainers.image.version'], manifest.version);
      assert.equal(image.HealthCheck ?? image.Config.Healthcheck, undefined);
    }
  });

  test('start on a root that cannot be written to, as nobody in particular, without any right', PATIENT, async () => {
    for (const target of ['default', 'minimal', 'podman'])
      assert.equal(
        await podman('run', '--rm', ...RESTRICTED, `localhost/simple-ci:${target}`, '--version'),
        manifest.version,
      );
  });

  test('have what tasks use: a shell, git, curl and ssh; the minimal one has no git', PATIENT, async () => {
    const inside = (target: string, script: string) =>
      execute('podman', ['run', '--rm', '--entrypoint', '/bin/sh', `localhost/simple-ci:${target}`, '-c', script]);
    for (const target of ['default', 'podman'])
      assert.equal((await inside(target, 'bash -c "git --version && curl --version && ssh -V"')).code, 0);
    assert.equal((await inside('podman', 'podman --version')).code, 0);
    assert.notEqual((await inside('minimal', 'git --version')).code, 0);
  });
});

describe('a node in the image', () => {
  test('runs a task', PATIENT, async t => {
    const node = new ContainerNode();
    await node.start(t);
    const { code, stdout, stderr } = await node.run({ steps: [{ run: 'echo "as $(id -u)"' }] }, '--follow');
    assert.equal(code, 0, stderr + (await node.logs()));
    assert.match(stdout, /\nas 10001\n/);
  });

  test(
    'runs a task that starts a container, with users of its own and no rights but to set these',
    PATIENT,
    async t => {
      const node = new ContainerNode();
      await node.start(t, [], undefined, 'podman');
      const { code, stdout, stderr } = await node.run({ steps: [{ run: NESTED }] }, '--follow');
      assert.equal(code, 0, stdout + stderr + (await node.logs()));
      assert.match(stdout, /\ninside as 0\n/);
    },
  );

  test('finishes its task when it is told to stop, and ends with 0', PATIENT, async t => {
    const node = new ContainerNode();
    await node.start(t);
    const { stdout: id, stderr } = await node.run({ steps: [{ run: 'echo begun; sleep 4; echo done' }] });
    assert.match(id, /^\w{27}\n$/, stderr);
    await eventually('it runs', async () => (await node.view(id.trim())).state === 'running', 60_000);
    await podman('stop', '--time', '120', node.name);
    assert.equal(await podman('inspect', '--format', '{{.State.ExitCode}}', node.name), '0', await node.logs());
    const next = new ContainerNode(node.volume);
    await next.start(t, [], node.token);
    const view = await next.view(id.trim());
    assert.equal(view.state === 'finished' ? view.result.outcome : view.state, 'passed');
  });

  test('loses the task that takes all memory, and goes on itself', PATIENT, async t => {
    const node = new ContainerNode();
    await node.start(t, ['--memory', '400m', '--memory-swap', '400m']);
    const greedy = await node.run(
      { attempts: { crashed: 1 }, steps: [{ run: 'head -c 1000m /dev/zero | tail' }] },
      '--follow',
    );
    assert.equal(greedy.code, 1, greedy.stderr + (await node.logs()));
    assert.match(greedy.stderr + greedy.stdout, /SIGKILL|killed|Killed/);
    const modest = await node.run({ steps: [{ run: 'echo still here' }] }, '--follow');
    assert.equal(modest.code, 0, modest.stderr + (await node.logs()));
    assert.equal(await node.state(), 'running');
  });
});
