import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { completeTask } from '../../node-runtime/queue/complete.ts';
import { History } from '../../node-runtime/queue/history.ts';
import { listCompleted } from '../../node-runtime/queue/list-tasks.ts';
import { retainOnce } from '../../node-runtime/queue/retention.ts';
import { submitTask } from '../../node-runtime/queue/submit.ts';
import { Tasks } from '../../node-runtime/queue/tasks.ts';
import type { TasksEvent } from '../../node-runtime/queue/tasks-service.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import type { TaskSummary } from '../../shared/api.ts';
import { newTaskId, type TaskId } from '../../shared/ids.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { MemoryObjectStore } from '../support/memory-object-store.ts';
import { testCluster } from '../support/test-cluster.ts';
import { claim, claimant, eventually, passed, submit, taskSpec } from '../support/test-tasks.ts';

const signal = neverAborted;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** And a little more: so long a finished task stays at least. */
const QUARTER_MS = 900_001;

async function finish(cluster: Cluster, count: number): Promise<TaskId[]> {
  const who = await claimant(cluster);
  const ids: TaskId[] = [];
  for (let i = 0; i < count; i++) {
    const id = await submit(cluster);
    const held = await claim(cluster, id, who);
    await completeTask(cluster, held, passed(held), signal);
    ids.push(id);
  }
  return ids;
}

/** All pages of a list. */
async function listAll(tasks: Tasks, limit: number, state?: 'queued' | 'running' | 'finished'): Promise<TaskSummary[]> {
  const found: TaskSummary[] = [];
  let after: string | undefined;
  do {
    const page = await tasks.list({ limit, ...(state && { state }), ...(after && { after }) }, signal);
    assert.ok(page.tasks.length <= limit);
    found.push(...page.tasks);
    after = page.next;
  } while (after);
  return found;
}

test('a list has queued tasks in queue order, then finished ones, newest first, in pages of any size', async () => {
  await using cluster = await testCluster();
  const finished = await finish(cluster, 5);
  const urgent = await submit(cluster, { priority: 0 });
  const queued = [await submit(cluster), await submit(cluster)].sort();
  const held = await claim(cluster, queued[0]!, await claimant(cluster));
  const tasks = new Tasks(cluster, new History(cluster));
  for (const limit of [1, 2, 3, 100]) {
    const all = await listAll(tasks, limit);
    assert.deepEqual(
      all.map(task => task.id),
      [...[urgent, ...queued].sort(), ...finished.toReversed()],
    );
    assert.deepEqual(
      all.map(task => task.state),
      ['queued', 'running', 'queued', ...finished.map(() => 'finished')],
    );
  }
  assert.deepEqual(
    (await listAll(tasks, 2, 'running')).map(task => task.id),
    [held.id],
  );
  assert.equal((await listAll(tasks, 2, 'finished')).length, 5);
});

test('a list tells what tasks ask for in a node', async () => {
  await using cluster = await testCluster();
  await submit(cluster, { labels: ['gpu'], slots: 3 });
  const [listed] = await listAll(new Tasks(cluster, new History(cluster)), 1);
  assert.deepEqual([listed?.labels, listed?.slots], [['gpu'], 3]);
});

test('a place to go on from that no list has given is refused', async () => {
  await using cluster = await testCluster();
  const tasks = new Tasks(cluster, new History(cluster));
  for (const after of ['x', 't.', 'c.-1', 'h.x', `h.${'9'.repeat(17)}.${'5'.repeat(27)}`, 't.../../x'])
    await assert.rejects(tasks.list({ limit: 1, after }, signal), /Cannot (list tasks|use task id)/);
});

test('finished tasks beyond the newest kept leave the store, and are found and listed as before', async () => {
  const clock = new FakeClock();
  await using cluster = await testCluster({ clock });
  const ids = await finish(cluster, 7);
  await clock.advance(QUARTER_MS);
  const history = new History(cluster);
  const tasks = new Tasks(cluster, history);
  const before = await listAll(tasks, 10);
  assert.equal(await retainOnce(cluster, history, { keepCount: 3 }, signal), 4);
  assert.deepEqual((await listCompleted(cluster, signal)).map(({ id }) => id).sort(), ids.slice(4).sort());
  assert.deepEqual(new Set(await listAll(tasks, 2)), new Set(before));
  assert.equal((await tasks.get(ids[0]!, signal))?.state, 'finished');
});

test('what finished years ago is listed with few questions, also if the clock by which the cluster was formed was ahead', async () => {
  const clock = new FakeClock();
  clock.step(30 * DAY_MS);
  await using cluster = await testCluster({ clock });
  clock.step(-30 * DAY_MS);
  const history = new History(cluster);
  const archive = async (count: number) => {
    const ids = await finish(cluster, count);
    await clock.advance(QUARTER_MS);
    await retainOnce(cluster, history, { keepCount: 0 }, signal);
    return ids;
  };
  const first = await archive(3);
  clock.step(59 * DAY_MS); // The last day of February, whose month has fewer than the one before.
  const second = await archive(2);
  clock.step(5 * 365 * DAY_MS);
  const objects = cluster.objects as MemoryObjectStore;
  await objects.put(`${cluster.objectKeys.historyDays}.of-somebody-else`, Buffer.from('x'), { signal });
  objects.operations.length = 0;
  const listed = await listAll(new Tasks(cluster, history), 100);
  assert.deepEqual(new Set(listed.slice(0, 2).map(({ id }) => id)), new Set(second));
  assert.deepEqual(new Set(listed.slice(2).map(({ id }) => id)), new Set(first));
  const questions = objects.operations.filter(({ operation }) => operation === 'list').length;
  assert.ok(questions < 130, `${questions} lists`);
});

test('a place to go on from that is far in the future costs no more than one of today', async () => {
  const clock = new FakeClock();
  await using cluster = await testCluster({ clock });
  const [id] = await finish(cluster, 1);
  await clock.advance(QUARTER_MS);
  const history = new History(cluster);
  await retainOnce(cluster, history, { keepCount: 0 }, signal);
  const objects = cluster.objects as MemoryObjectStore;
  objects.operations.length = 0;
  const after = `h.${'9'.repeat(14)}.${newTaskId(3, clock.now(), Math.random)}`;
  const page = await new Tasks(cluster, history).list({ limit: 10, after }, signal);
  assert.deepEqual(
    page.tasks.map(task => task.id),
    [id],
  );
  assert.ok(objects.operations.length < 50, `${objects.operations.length} questions`);
});

test('what of the history is damaged or of a newer release keeps nothing else from being listed', async () => {
  const clock = new FakeClock();
  await using cluster = await testCluster({ clock });
  const ids = await finish(cluster, 3);
  await clock.advance(QUARTER_MS);
  const history = new History(cluster);
  await retainOnce(cluster, history, { keepCount: 0 }, signal);
  const day = cluster.objectKeys.historyDay(new Date(clock.now()).toISOString().slice(0, 10));
  const unreadable = [
    'junk',
    '{"v":99,"tasks":[]}',
    '{"v":1,"tasks":[{"id":"x","result":{}},{"id":"y","result":{"v":99}}]}',
  ];
  for (const [i, text] of unreadable.entries())
    await cluster.objects.put(`${day}${i}.json`, Buffer.from(text), { signal });
  const listed = await listAll(new Tasks(cluster, history), 2);
  assert.deepEqual(listed.map(({ id }) => id).sort(), ids.toSorted());
});

test('two nodes that archive the same tasks at once lose and repeat none', async () => {
  const clock = new FakeClock();
  await using cluster = await testCluster({ clock });
  const ids = await finish(cluster, 6);
  await clock.advance(QUARTER_MS);
  const history = new History(cluster);
  await Promise.all([1, 2, 3].map(() => retainOnce(cluster, history, { keepMs: -1 }, signal)));
  assert.deepEqual(await listCompleted(cluster, signal), []);
  const listed = await listAll(new Tasks(cluster, history), 100);
  assert.deepEqual(listed.map(task => task.id).sort(), [...ids].sort());
});

test('finished tasks stay for a quarter of an hour, however many there are, and keep none behind them', async () => {
  const clock = new FakeClock();
  await using cluster = await testCluster({ clock });
  const history = new History(cluster);
  const retain = () => retainOnce(cluster, history, { keepCount: 10 }, signal);
  // A client's clock that is an hour ahead.
  const ahead = newTaskId(5, clock.now() + HOUR_MS, Math.random);
  await submitTask(cluster, history, ahead, taskSpec(), 'tester', signal);
  const held = await claim(cluster, ahead, await claimant(cluster));
  await completeTask(cluster, held, passed(held), signal);
  await finish(cluster, 200);
  await clock.advance(QUARTER_MS - 60_000);
  assert.equal(await retain(), 0);
  await clock.advance(60_000);
  assert.equal(await retain(), 190);
  assert.ok((await listCompleted(cluster, signal)).some(({ id }) => id === ahead));
  await clock.advance(HOUR_MS);
  assert.equal(await retain(), 1);
});

test('a queued task tells of the attempt that was lost with its node', async () => {
  await using cluster = await testCluster();
  const id = await submit(cluster);
  const dying = await claimant(cluster, 'n1');
  await claim(cluster, id, dying);
  await cluster.store.revokeLease(dying.lease, { signal, timeoutMs: 3000 });
  const view = await new Tasks(cluster, new History(cluster)).get(id, signal);
  assert.deepEqual(view?.state === 'queued' && view.past.map(({ attempt, end }) => [attempt, end]), [[1, 'lost']]);
});

test('finished tasks that cannot be read keep none behind them in the store', async () => {
  const clock = new FakeClock();
  await using cluster = await testCluster({ clock });
  const { keys, store } = cluster;
  const newer = Array.from({ length: 80 }, () => newTaskId(5, clock.now(), Math.random));
  const then = newer.map(id => ({ put: keys.completed(id), value: '{"v": 99}' }));
  await store.commit({ when: [], then }, { signal, timeoutMs: 3000 });
  const ids = await finish(cluster, 3);
  await clock.advance(QUARTER_MS);
  assert.equal(await retainOnce(cluster, new History(cluster), { keepMs: 0 }, signal), ids.length);
  assert.equal((await listCompleted(cluster, signal)).length, newer.length);
});

test('a task that is not there is told as not there', async () => {
  await using cluster = await testCluster();
  const [id] = await finish(cluster, 1);
  const other = `${id!.slice(0, -3)}zzz` as TaskId;
  assert.equal(await new Tasks(cluster, new History(cluster)).get(other, signal), undefined);
});

test('who looks on sees a snapshot, then a task queued, running and finished', async () => {
  await using cluster = await testCluster();
  await finish(cluster, 2);
  const tasks = new Tasks(cluster, new History(cluster));
  const events: TasksEvent[] = [];
  const stop = new AbortController();
  const looking = (async () => {
    for await (const event of tasks.watch(stop.signal)) events.push(event);
  })();
  await eventually('the snapshot', () => events.length > 0 || undefined);
  assert.equal(events[0]?.kind === 'snapshot' && events[0].tasks.length, 2);
  const state = (wanted: string) =>
    eventually(
      wanted,
      () => events.some(event => event.kind === 'changed' && event.task.state === wanted) || undefined,
    );
  const id = await submit(cluster);
  await state('queued');
  const held = await claim(cluster, id, await claimant(cluster));
  await state('running');
  await completeTask(cluster, held, passed(held), signal);
  await state('finished');
  stop.abort();
  await looking;
});

test('a burst of changes comes to a slow onlooker as the last state of each task', async () => {
  await using cluster = await testCluster();
  const tasks = new Tasks(cluster, new History(cluster));
  const stop = new AbortController();
  const looking = tasks.watch(stop.signal)[Symbol.asyncIterator]();
  assert.equal((await looking.next()).value?.kind, 'snapshot');
  const ids = new Set<string>(await finish(cluster, 30));
  const last = new Map<string, string>();
  while ([...ids].some(id => last.get(id) !== 'finished')) {
    const { value } = await looking.next();
    if (value?.kind === 'changed') last.set(value.task.id, value.task.state);
    if (value?.kind === 'snapshot') for (const task of value.tasks) last.set(task.id, task.state);
  }
  stop.abort();
  await looking.return?.(undefined);
});

test('a list goes past any number of tasks that a newer release has written', async () => {
  await using cluster = await testCluster();
  const ids = Array.from({ length: 600 }, () => newTaskId(0, Date.now(), Math.random));
  for (let at = 0; at < ids.length; at += 90) {
    const then = ids.slice(at, at + 90).map(id => ({ put: cluster.keys.task(id), value: '{"v":99}' }));
    await cluster.store.commit({ when: [], then }, { signal, timeoutMs: 3000 });
  }
  const own = await submit(cluster);
  const listed = await listAll(new Tasks(cluster, new History(cluster)), 10);
  assert.deepEqual(
    listed.map(({ id }) => id),
    [own],
  );
});
