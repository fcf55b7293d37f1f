import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type Client, createClient } from '../../shared/client.ts';
import { newTaskId, type TaskId } from '../../shared/ids.ts';
import { earlierRelease } from '../support/earlier-release.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { keysUnder } from '../support/etcdctl.ts';
import { type NodeProcess, startNode, temporaryFolder } from '../support/simple-ci.ts';
import { eventually } from '../support/test-tasks.ts';

const signal = AbortSignal.timeout(540_000);

suite('a rolling upgrade under load', { concurrency: 1 }, () => {
  let etcd: EtcdServer;
  before(async () => {
    etcd = await startEtcd();
  });
  after(() => etcd[Symbol.asyncDispose]());

  test('from the earlier release to this one and back, every task runs once and passes', async t => {
    await using folder = await temporaryFolder();
    const earlier = earlierRelease(t, folder.path);
    if (!earlier) return;
    await using nodes = new AsyncDisposableStack();
    const start = async (name: string, program?: string): Promise<NodeProcess> => {
      const where = ['--cluster', 'acme/upgraded', '--etcd', etcd.endpoints.join(','), '--data', folder.path];
      const own = ['--node-id', name, '--slots', '2', '--isolation', 'none'];
      return nodes.use(await startNode([...where, ...own], {}, program === undefined ? {} : { program }));
    };
    const runs = join(folder.path, 'runs');
    const first = await start('earlier-1', earlier);
    const token = first.adminToken ?? '';
    await using client = createClient({ urls: [first.address], token });
    const load = new Load(runs, client);
    const second = await start('earlier-2', earlier);
    const loading = load.run();

    /** As a Deployment without unavailable pods does it: a new one comes up, then an old one is told to stop. */
    const replace = async (old: NodeProcess, name: string, program?: string): Promise<NodeProcess> => {
      const node = await start(name, program);
      client.addNodes([node.address]);
      await load.more(4);
      old.process.kill('SIGTERM');
      assert.equal(await old.ended, 0, old.output());
      return node;
    };
    const upgraded = [await replace(first, 'this-1'), await replace(second, 'this-2')] as const;
    await eventually('the upgraded nodes count the demand', async () => {
      return (await keysUnder(etcd, 'acme/upgraded/demand/')).length > 0 || undefined;
    });
    await load.more(4);
    await replace(upgraded[0], 'earlier-3', earlier);
    await replace(upgraded[1], 'earlier-4', earlier);
    await load.more(4);
    load.stop();
    await loading;

    const results = await load.results();
    assert.ok(results.length >= 24, `only ${results.length} tasks`);
    assert.deepEqual(new Set(results.map(({ outcome }) => outcome)), new Set(['passed']));
    assert.deepEqual(
      results.flatMap(({ past }) => past),
      [],
    );
    const lines = (await readFile(runs, 'utf8')).trim().split('\n');
    assert.deepEqual(lines.sort(), [...load.ids].sort());
    const ran = new Set(results.map(({ node }) => node.replace(/-\d$/, '')));
    assert.deepEqual([...ran].sort(), ['earlier', 'this']);
  });
});

/** Submits one task after the other, each of which notes that it runs; to whichever node answers, as clients do. */
class Load {
  readonly ids: TaskId[] = [];
  readonly #runs: string;
  readonly #client: Client;
  #isStopped = false;

  constructor(runs: string, client: Client) {
    this.#runs = runs;
    this.#client = client;
  }

  async run(): Promise<void> {
    for (let n = 0; !this.#isStopped; n++) {
      const id = newTaskId(5, Date.now(), Math.random);
      const steps = [{ run: `echo ${id} >> ${this.#runs}; sleep ${n % 5 === 0 ? 3 : 0.5}` }];
      const task = { name: `task ${n}`, steps };
      await this.#client.call('submitTask', { body: { id, task } }, signal);
      this.ids.push(id);
      // Some wait, and never more than a few.
      await eventually('the queue is short', async () => (await this.#unfinished()) < 8 || undefined, 120_000);
    }
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Resolves when so many more have been submitted. */
  async more(count: number): Promise<void> {
    const wanted = this.ids.length + count;
    await eventually(`${count} more tasks are there`, () => this.ids.length >= wanted || undefined, 120_000);
  }

  results() {
    return Promise.all(
      this.ids.map(id =>
        eventually(
          `task ${id} is finished`,
          async () => {
            const view = await this.#client.call('getTask', { params: { id } }, signal);
            return view.state === 'finished' ? view.result : undefined;
          },
          120_000,
        ),
      ),
    );
  }

  async #unfinished(): Promise<number> {
    const pages = (['queued', 'running'] as const).map(state =>
      this.#client.call('listTasks', { query: { state } }, signal),
    );
    return (await Promise.all(pages)).flatMap(({ tasks }) => tasks).length;
  }
}
