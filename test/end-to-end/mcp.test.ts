import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { bundle } from '../../scripts/build.mjs';
import { simpleCi, start, temporaryFolder } from '../support/simple-ci.ts';
import { eventually } from '../support/test-tasks.ts';

const TASK_FILE = `tasks:
  greet:
    run: cat greeting.txt
  build:
    steps:
      - name: Install
        run: seq 1 300
      - name: Compile
        run: |
          seq 1 200
          printf '\\033[31mmain.c:3:1: error\\033[0m \\033]0;pwned\\007\\n'
          exit 3
  sleep:
    run: sleep 600
`;

describe('simple-ci mcp', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let agent: Agent;

  before(async () => {
    // Builds the program.
    await simpleCi(['version']);
    folder = await temporaryFolder();
    await mkdir(join(folder.path, 'workspace'));
    await writeFile(join(folder.path, 'workspace/simple-ci.yaml'), TASK_FILE);
    await writeFile(join(folder.path, 'workspace/greeting.txt'), 'hello\n');
    agent = await Agent.start(folder.path);
  });

  after(async () => {
    await agent?.end();
    await folder?.[Symbol.asyncDispose]();
  });

  test('has three tools, of which one does something', async () => {
    const { tools } = await agent.client.listTools();
    assert.deepEqual(
      tools.map(({ name, annotations }) => [name, annotations?.readOnlyHint]),
      [
        ['run', false],
        ['status', true],
        ['failure_log', true],
      ],
    );
    assert.deepEqual(Object.keys(tools[0]?.inputSchema.properties ?? {}), ['task', 'command', 'wait']);
  });

  test('tells what there is to run before anything was run', async () => {
    const { text } = await agent.use('status', {});
    assert.match(text, /^Tasks that this workspace has: greet, build, sleep\nNodes: 1\nNo task has been run\.$/);
  });

  test('runs a task on the files as they are', async () => {
    await writeFile(join(folder.path, 'workspace/greeting.txt'), 'good evening\n');
    const ran = await agent.use('run', { task: 'greet', wait: 120 });
    assert.match(ran.text, /^Task greet \(id \w+\) passed on run-\w+ after .+\.\nSteps:\n- cat greeting\.txt: passed/);
    const { text } = await agent.use('failure_log', { id: idIn(ran.text) });
    assert.match(text, /\nWhat it printed:\ngood evening$/);
  });

  test('runs a command', async () => {
    const { text } = await agent.use('run', { command: 'test "$(cat greeting.txt)" = "good evening"', wait: 120 });
    assert.match(text, / passed on /);
  });

  test('says why a task failed: the end of the log of the step that did, and nothing that steers a terminal', async () => {
    const { text, isError } = await agent.use('run', { task: 'build', wait: 120 });
    assert.ok(!isError);
    const lines = text.split('\n');
    assert.match(lines[0]!, /^Task build \(id \w+\) failed on .+: Step 2 "Compile": It exited with code 3$/);
    assert.match(text, /- Install: passed.*\n- Compile: failed with exit code 3/);
    const at = lines.indexOf('The last 60 lines that step "Compile" printed:');
    assert.deepEqual([lines[at + 1], lines[at + 59], lines[at + 60]], ['142', '200', 'main.c:3:1: error ']);
  });

  test('gives more of the log of the newest failure, never of another step', async () => {
    const { text } = await agent.use('failure_log', { lines: 1000 });
    const lines = text.split('\n');
    const at = lines.indexOf('What step "Compile" printed:');
    assert.equal(lines.length - at - 1, 201);
  });

  test('waits no longer than it was told, and whoever gives up cancels the task', async () => {
    const { text } = await agent.use('run', { task: 'sleep', wait: 0 });
    assert.match(text, /To wait for its end, ask for the status of \w+\./);
    const id = idIn(text);
    const controller = new AbortController();
    const waiting = agent.client.callTool(
      { name: 'run', arguments: { task: 'sleep', wait: 600 } },
      { signal: controller.signal, timeout: 600_000 },
    );
    const second = await eventually('the second is there', async () => {
      const found = [...(await agent.use('status', {})).text.matchAll(/- (\w+) sleep: (?:queued|running)/g)];
      return found.map(match => match[1]!).find(one => one !== id);
    });
    controller.abort(new Error('no more'));
    await assert.rejects(waiting);
    await eventually('it is cancelled', async () =>
      /cancelled/.test((await agent.use('status', { id: second, wait: 60 })).text) ? true : undefined,
    );
    assert.doesNotMatch((await agent.use('status', { id })).text, /cancelled/);
  });

  const wrong: [string, string, Record<string, unknown>, RegExp][] = [
    ['no task of that name', 'run', { task: 'grete' }, /Cannot find task "grete" .+ did you mean "greet"\?/],
    ['neither task nor command', 'run', {}, /either a task or a command/],
    ['both', 'run', { task: 'greet', command: 'true' }, /either a task or a command/],
    ['no id', 'status', { id: 'x' }, /Cannot .+ id/],
    ['an id of nobody', 'failure_log', { id: '501m8evenkrn1gvxe9d9jhm8naf' }, /Cannot find task/],
    ['too long a wait', 'run', { task: 'greet', wait: 1e9 }, /wait|3600/],
  ];
  for (const [what, tool, input, message] of wrong)
    test(`answers ${what} with what is wrong`, async () => {
      const { text, isError } = await agent.use(tool, input);
      assert.ok(isError, text);
      assert.match(text, message);
    });

  test('sends no files that look like secrets, as nobody is there to ask', async () => {
    const key = join(folder.path, 'workspace/id_rsa');
    await writeFile(
      key,
      '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n',
    );
    await chmod(key, 0o600);
    const { text, isError } = await agent.use('run', { task: 'greet' });
    assert.ok(isError);
    assert.match(text, /id_rsa/);
    await rm(key);
  });

  test('speaks the newest protocol too', async () => {
    const modern = await Agent.start(folder.path, { versionNegotiation: { mode: 'auto' } });
    assert.match((await modern.use('status', {})).text, /^Tasks that this workspace has: greet/);
    await modern.end();
  });

  test('works with a cluster, and tells of one that does not answer', async t => {
    const address = '127.0.0.1:1';
    const lonely = await Agent.start(folder.path, {}, ['--url', `http://${address}`], { SIMPLE_CI_TOKEN: 'sci_x' });
    const { text, isError } = await lonely.use('status', {});
    assert.ok(isError);
    assert.match(text, /Cannot reach/);
    await lonely.end();
    const node = await clusterNode(t, folder.path, 'n1');
    const token = await node.said('admin-token', 'token');
    const cluster = await Agent.start(folder.path, {}, ['--url', await node.said('ready', 'address')], {
      SIMPLE_CI_TOKEN: token,
    });
    assert.match((await cluster.use('run', { command: 'true', wait: 120 })).text, /^Task true .+ passed on /);
    assert.match((await cluster.use('status', {})).text, /Nodes: 1\n/);
    // One that comes later takes over from the one whose address was given.
    const second = await clusterNode(t, folder.path, 'n2');
    await second.said('ready', 'address');
    assert.match((await cluster.use('status', {})).text, /Nodes: 2\n/);
    await node.kill();
    assert.match((await cluster.use('run', { command: 'true', wait: 120 })).text, /^Task true .+ passed on n2/);
    await cluster.end();
    await second.kill();
  });

  test('ends when its input does', async () => {
    const other = await Agent.start(folder.path);
    const { pid } = other;
    await other.end();
    await eventually('the process has ended', () => (isRunning(pid) ? undefined : true));
  });
});

/** A node of a cluster in a folder of this home, as an operator starts it. */
async function clusterNode(t: TestContext, home: string, name: string) {
  const words = ['--cluster', 'acme/ci', '--node-id', name, '--listen', '127.0.0.1:0', '--data', join(home, 'cluster')];
  const node = await start(['node', ...words, '--json'], { env: { HOME: home } });
  t.after(() => node.kill('SIGKILL'));
  let text = '';
  node.stdout?.on('data', chunk => (text += chunk));
  /** What it says in the field of this event. */
  const said = (event: string, field: string) =>
    eventually(`the node says ${event}`, () => {
      const lines = text.split('\n').filter(line => line.endsWith('}'));
      return lines.map(line => JSON.parse(line)).find(line => line.event === event)?.[field] as string | undefined;
    });
  const kill = async () => {
    const ended = once(node, 'close');
    node.kill('SIGKILL');
    await ended;
  };
  return { said, kill };
}

/** What an agent has: a client of the protocol, and the program that it has started. */
class Agent {
  readonly client: Client;
  readonly #transport: StdioClientTransport;

  private constructor(client: Client, transport: StdioClientTransport) {
    this.client = client;
    this.#transport = transport;
  }

  static async start(
    home: string,
    options: ConstructorParameters<typeof Client>[1] = {},
    words: readonly string[] = [],
    env: Record<string, string> = {},
  ): Promise<Agent> {
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [bundle, 'mcp', '-C', join(home, 'workspace'), ...words],
      env: { HOME: home, PATH: process.env.PATH ?? '', ...env },
      stderr: 'ignore',
    });
    const client = new Client({ name: 'test', version: '1' }, options);
    await client.connect(transport, { timeout: 120_000 });
    return new Agent(client, transport);
  }

  get pid(): number {
    return this.#transport.pid ?? 0;
  }

  async use(name: string, input: Record<string, unknown>): Promise<{ text: string; isError: boolean }> {
    const { content, isError = false } = await this.client.callTool({ name, arguments: input }, { timeout: 300_000 });
    const [part] = content;
    return { text: part?.type === 'text' ? part.text : '', isError };
  }

  async end(): Promise<void> {
    await this.client.close();
  }
}

function idIn(text: string): string {
  return /\(id (\w+)\)/.exec(text)?.[1] ?? '';
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
