import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../extension/clock.ts';
import { ClusterConnection } from '../../extension/cluster-connection.ts';
import { taskPageContent } from '../../extension/task-page-content.ts';
import { watchTask } from '../../extension/watch-task.ts';
import { createClient } from '../../shared/client.ts';
import { newTaskId } from '../../shared/ids.ts';
import type { TaskPageContent } from '../../shared/task-page/task-page-messages.ts';
import { extensionParts } from '../support/extension-parts.ts';
import { eventually } from '../support/test-tasks.ts';

test('the page of a task is told of each step as it goes, and at the end of what the task kept', async t => {
  const parts = await extensionParts(t);
  const { address } = await parts.node('n1');
  const connection = new ClusterConnection({
    clock: systemClock,
    tokenOf: async () => address.token,
    note: () => undefined,
  });
  t.after(() => connection[Symbol.asyncDispose]());
  await connection.choose({ id: 'test', label: 'test', urls: [address.url] });
  connection.want();
  const gates = join(parts.folder, 'gates');
  await mkdir(gates);
  const wait = (gate: string) => `until [ -e ${gates}/${gate} ]; do sleep 0.05; done`;
  const id = newTaskId(5, Date.now(), Math.random);
  await using client = await connection.client();
  const steps = [
    { name: 'First', run: wait('first') },
    { name: 'Second', run: `${wait('second')}; echo kept > kept.txt` },
  ];
  const body = { id, task: { name: 'gated', steps, artifacts: ['kept.txt'] } };
  await client.call('submitTask', { body }, t.signal);
  let content: TaskPageContent | undefined;
  const tell = (knowledge: Parameters<typeof taskPageContent>[0]) => {
    content = taskPageContent(knowledge);
  };
  const watching = watchTask({ connection, clock: systemClock, task: id, tell }, t.signal);
  const stateOf = (label: string) => content?.spans.find(span => span.label === label)?.state;
  const reach = (what: string, first: string, second: string) =>
    eventually(what, () => (stateOf('First') === first && stateOf('Second') === second ? true : undefined));
  await reach('the first step runs', 'running', 'waiting');
  assert.equal(content?.tone, 'running');
  const before = content?.to ?? 0;
  await eventually('time goes on though nothing happens', () => ((content?.to ?? 0) > before ? true : undefined));
  await writeFile(join(gates, 'first'), '');
  await reach('the second step runs', 'passed', 'running');
  await writeFile(join(gates, 'second'), '');
  await watching;
  assert.deepEqual([content?.state, content?.isFinished, stateOf('Second')], ['passed', true, 'passed']);
  assert.deepEqual(content?.artifacts, [{ path: 'kept.txt', size: '5 bytes' }]);
});

test('steps that ended before anybody looked are known too, whichever node runs the task', async t => {
  const parts = await extensionParts(t);
  const nodes = [await parts.node('n1'), await parts.node('n2')];
  const { url, token } = nodes[0]!.address;
  await using client = createClient({ urls: [url], token });
  const gate = join(parts.folder, 'gate');
  const id = newTaskId(5, Date.now(), Math.random);
  const steps = [
    { name: 'First', run: 'true' },
    { name: 'Second', run: `until [ -e ${gate} ]; do sleep 0.05; done` },
  ];
  await client.call('submitTask', { body: { id, task: { name: 'gated', steps } } }, t.signal);
  const running = await eventually('it runs', async () => {
    const view = await client.call('getTask', { params: { id } }, t.signal);
    return view.state === 'running' ? view : undefined;
  });
  const connection = new ClusterConnection({ clock: systemClock, tokenOf: async () => token, note: () => undefined });
  t.after(() => connection[Symbol.asyncDispose]());
  const other = nodes[running.node === 'n1' ? 1 : 0]!;
  await connection.choose({ id: 'test', label: 'test', urls: [other.address.url] });
  connection.want();
  await eventually('both nodes are known', () => (connection.state.nodes?.size === 2 ? true : undefined));
  const enough = new AbortController();
  const tell = (knowledge: Parameters<typeof taskPageContent>[0]) => {
    const states = taskPageContent(knowledge).spans.map(({ label, state }) => `${label}: ${state}`);
    if (states.includes('First: passed') && states.includes('Second: running')) enough.abort(new Error('All is known'));
  };
  const signal = AbortSignal.any([enough.signal, t.signal]);
  await assert.rejects(watchTask({ connection, clock: systemClock, task: id, tell }, signal), /All is known/);
});
