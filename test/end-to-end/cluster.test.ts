import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { TaskView } from '../../shared/api.ts';
import { newTaskId, type TaskId } from '../../shared/ids.ts';
import type { TaskSpec } from '../../shared/task.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { etcdctl, keysUnder, leaseOf, recordAt } from '../support/etcdctl.ts';
import { clientOf, type NodeProcess, simpleCi, start, startNode, temporaryFolder } from '../support/simple-ci.ts';
import { eventually } from '../support/test-tasks.ts';

const signal = AbortSignal.timeout(540_000);

suite('a cluster of nodes on one etcd', { concurrency: 1 }, () => {
  let etcd: EtcdServer;
  let number = 0;

  before(async () => {
    etcd = await startEtcd();
  });
  after(() => etcd[Symbol.asyncDispose]());

  /** A cluster of its own for each test, on the one etcd, with bytes in a folder that its nodes share. */
  async function cluster(...names: string[]) {
    const id = `acme/ci-${++number}`;
    const nodes: NodeProcess[] = [];
    const data = await temporaryFolder();
    const add = async (name: string, ...args: string[]) => {
      const node = await startNode([
        '--cluster',
        id,
        '--etcd',
        etcd.endpoints.join(','),
        '--node-id',
        name,
        '--data',
        data.path,
        ...args,
      ]);
      nodes.push(node);
      return node;
    };
    for (const name of names) await add(name);
    const token = nodes[0]?.adminToken ?? '';
    const submit = async (task: Partial<TaskSpec>, node = nodes[0]!): Promise<TaskId> => {
      const id = newTaskId(task.priority ?? 5, Date.now(), Math.random);
      await clientOf(node, token).call(
        'submitTask',
        { body: { id, task: { name: 'test', steps: [{ run: 'true' }], ...task } } },
        signal,
      );
      return id;
    };
    const view = (task: TaskId, node = nodes.at(-1)!): Promise<TaskView> =>
      clientOf(node, token).call('getTask', { params: { id: task } }, signal);
    const finished = async (task: TaskId, limitMs = 60_000) =>
      eventually(
        'the task is finished',
        async () => {
          const it = await view(task);
          return it.state === 'finished' ? it.result : undefined;
        },
        limitMs,
      );
    const running = (task: TaskId) =>
      eventually('the task runs', async () => {
        const it = await view(task);
        return it.state === 'running' ? it : undefined;
      });
    const dispose = async () => {
      for (const node of nodes) await node[Symbol.asyncDispose]();
      await data[Symbol.asyncDispose]();
    };
    return { id, nodes, add, token, submit, view, finished, running, [Symbol.asyncDispose]: dispose };
  }

  test('the first node forms the cluster and is the only one to show an admin token; the second joins', async () => {
    await using it = await cluster('n1', 'n2');
    assert.match(it.nodes[0]!.output(), /Formed cluster/);
    assert.match(it.nodes[1]!.output(), /Joined cluster/);
    assert.ok(it.nodes[0]!.adminToken);
    assert.equal(it.nodes[1]!.adminToken, undefined);
  });

  test('a member is a key on a 30 s lease that is renewed', async () => {
    await using it = await cluster('n1');
    const key = `${it.id}/members/n1`;
    assert.equal((await recordAt(etcd, key))?.node, 'n1');
    assert.equal((await leaseOf(etcd, key)).granted, 30);
    await eventually('it was renewed', async () => ((await leaseOf(etcd, key)).left <= 27 ? true : undefined), 20_000);
    await eventually('it was renewed', async () => ((await leaseOf(etcd, key)).left >= 28 ? true : undefined), 20_000);
  });

  test('a second live node under the same id is refused, with the way out', async () => {
    await using it = await cluster('n1');
    const second = await simpleCi([
      'node',
      '--cluster',
      it.id,
      '--etcd',
      etcd.endpoints.join(','),
      '--node-id',
      'n1',
      '--listen',
      '127.0.0.1:0',
      '--data',
      '/nonexistent/../tmp',
    ]);
    assert.notEqual(second.code, 0);
    assert.match(second.stderr, /a node of this id is alive there: n1 .*--node-id/);
  });

  test('etcd shows a task as the documents say: task.json, its lock on a 30 s lease, its attempts, then completed', async () => {
    await using it = await cluster('n1');
    const task = await it.submit({ steps: [{ run: 'sleep 3' }] });
    await it.running(task);
    const known = (keys: string[]) =>
      keys.filter(key => !/\/(tokens|secrets|demand|posts)\//.test(key)).map(key => key.slice(it.id.length + 1));
    assert.deepEqual(
      known(await keysUnder(etcd, `${it.id}/`)).sort(),
      [`attempts/${task}`, 'cluster', 'members/n1', `tasks/${task}`, `tasks/${task}.lock`].sort(),
    );
    assert.equal((await leaseOf(etcd, `${it.id}/tasks/${task}.lock`)).granted, 30);
    assert.deepEqual((await recordAt(etcd, `${it.id}/tasks/${task}`))?.steps, [{ run: 'sleep 3' }]);
    await it.finished(task);
    assert.deepEqual(
      known(await keysUnder(etcd, `${it.id}/`)).sort(),
      ['cluster', `completed/${task}`, 'members/n1'].sort(),
    );
    const completed = await recordAt(etcd, `${it.id}/completed/${task}`);
    assert.equal(completed?.outcome, 'passed', String(completed?.message));
  });

  test('any node takes a submission and answers for every task', async () => {
    await using it = await cluster('n1', 'n2');
    const task = await it.submit({}, it.nodes[1]);
    const { outcome, message } = await it.finished(task);
    assert.equal(outcome, 'passed', message);
    assert.equal((await it.view(task, it.nodes[0])).state, 'finished');
  });

  test('deleting every member key under load changes nothing', async () => {
    await using it = await cluster('n1', 'n2');
    const tasks = await Promise.all(Array.from({ length: 8 }, () => it.submit({ steps: [{ run: 'sleep 0.5' }] })));
    await etcdctl(etcd, 'del', '--prefix', `${it.id}/members/`);
    for (const task of tasks) assert.equal((await it.finished(task)).attempt, 1);
  });

  test('when a node is killed its task is taken up by another within 30 s and a little, and its log goes on with attempt 2', async () => {
    await using it = await cluster('n1');
    const task = await it.submit({
      steps: [
        {
          run: 'echo "attempt $SIMPLE_CI_ATTEMPT begins"; if [ $SIMPLE_CI_ATTEMPT = 1 ]; then sleep 300; fi; echo done',
        },
      ],
    });
    await it.running(task);
    await it.add('n2');
    let heard = '';
    const followed = (async () => {
      for await (const event of clientOf(it.nodes[1]!, it.token).log(task, { follow: true }, signal)) {
        if (event.kind === 'bytes') heard += Buffer.from(event.bytes).toString();
        if (event.kind === 'attempt') heard += `[${event.attempt}]\n`;
        if (event.kind === 'end') heard += `[${event.reason}]\n`;
      }
    })();
    await eventually('the first attempt was heard', () => heard.includes('attempt 1 begins') || undefined);
    const killed = performance.now();
    it.nodes[0]!.process.kill('SIGKILL');
    const result = await it.finished(task, 90_000);
    const seconds = (performance.now() - killed) / 1000;
    await followed;
    assert.equal(result.attempt, 2);
    assert.equal(result.node, 'n2');
    assert.ok(seconds < 60, `${seconds} s`);
    assert.equal(heard, '[1]\nattempt 1 begins\n[lost]\n[2]\nattempt 2 begins\ndone\n[finished]\n');
  });

  test('a run whose node dies is followed to its end through another node', async () => {
    await using it = await cluster();
    const asked = await it.add('asked', '--slots', '0');
    const token = asked.adminToken ?? '';
    const worker = await it.add('worker', '--isolation', 'none');
    const folder = await temporaryFolder();
    const go = join(folder.path, 'go');
    const steps = [{ run: `echo begins; until [ -e ${go} ]; do sleep 0.1; done; echo ends` }];
    const child = await start(['submit', '-', '--follow'], {
      env: { HOME: folder.path, SIMPLE_CI_URL: asked.address, SIMPLE_CI_TOKEN: token },
    });
    let out = '';
    let err = '';
    child.stdout?.on('data', chunk => (out += chunk));
    child.stderr?.on('data', chunk => (err += chunk));
    const ended = new Promise<number | null>(resolve => child.once('close', resolve));
    child.stdin?.end(JSON.stringify({ name: 'test', steps }));
    await eventually('it runs', () => out.includes('begins') || undefined);
    asked.process.kill('SIGKILL');
    await asked.ended;
    await writeFile(go, '');
    assert.equal(await ended, 0, err);
    assert.match(out, /^begins\nends\n$/m);
    assert.match(err, /Submitted 5\w+\./);
    await worker[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  test('a node told to stop hands back at once what does not finish in time, and exits 0', async () => {
    await using it = await cluster();
    const leaving = await it.add('leaving', '--drain-timeout', '1s');
    const token = leaving.adminToken ?? '';
    const id = newTaskId(5, Date.now(), Math.random);
    const task = { name: 'long', steps: [{ run: 'if [ $SIMPLE_CI_ATTEMPT = 1 ]; then sleep 300; fi' }] };
    await clientOf(leaving, token).call('submitTask', { body: { id, task } }, signal);
    await eventually(
      'it runs',
      async () =>
        (await clientOf(leaving, token).call('getTask', { params: { id } }, signal)).state === 'running' || undefined,
    );
    const staying = await it.add('staying');
    leaving.process.kill('SIGTERM');
    assert.equal(await leaving.ended, 0);
    const result = await eventually('finished', async () => {
      const view = await clientOf(staying, token).call('getTask', { params: { id } }, signal);
      return view.state === 'finished' ? view.result : undefined;
    });
    assert.equal(result.node, 'staying');
    assert.deepEqual(
      result.past.map(past => past.end),
      ['drained'],
    );
    assert.deepEqual(await keysUnder(etcd, `${it.id}/members/`), [`${it.id}/members/staying`]);
  });

  test('a node told to stop lets a running task finish', async () => {
    await using it = await cluster('n1', 'n2');
    const task = await it.submit({ steps: [{ run: 'sleep 3; echo finished' }] });
    const { node } = await it.running(task);
    const holder =
      it.nodes.find(({ output }) => output().includes(`members/${node}`)) ?? it.nodes[node === 'n1' ? 0 : 1]!;
    holder.process.kill('SIGTERM');
    assert.equal(await holder.ended, 0);
    const other = it.nodes.find(it => it !== holder)!;
    const view = await it.view(task, other);
    assert.equal(view.state === 'finished' && view.result.outcome, 'passed');
    assert.equal(view.state === 'finished' && view.result.node, node);
  });

  test('a cluster that a newer release has formed is refused by name', async () => {
    await etcdctl(etcd, 'put', 'acme/newer/cluster', JSON.stringify({ v: 2, epoch: 'abcdefghijkl', created: 1 }));
    const { code, stderr } = await simpleCi([
      'node',
      '--cluster',
      'acme/newer',
      '--etcd',
      etcd.endpoints.join(','),
      '--listen',
      '127.0.0.1:0',
      '--data',
      '/tmp/simple-ci-newer',
    ]);
    assert.notEqual(code, 0);
    assert.match(stderr, /newer release formed it: format 2, this release knows 1/);
  });
});
