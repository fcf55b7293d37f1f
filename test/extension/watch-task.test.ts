import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../extension/clock.ts';
import { ClusterConnection } from '../../extension/cluster-connection.ts';
import { taskPageContent } from '../../extension/task-page-content.ts';
import { watchTask } from '../../extension/watch-task.ts';
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
