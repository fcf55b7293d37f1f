import { readTaskState } from '../../node-runtime/queue/records.ts';
import { History } from '../../node-runtime/queue/history.ts';
import { submitTask } from '../../node-runtime/queue/submit.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { newTaskId, type TaskId } from '../../shared/ids.ts';
import { compete } from '../support/competitor.ts';
import { eventually, taskSpec } from '../support/test-tasks.ts';
import { type BenchCluster, benchCluster } from './bench-cluster.ts';
import { realExecutor } from './bench-executor.ts';
import { type Bench, figure, percentile } from './figures.ts';
import { RawDispatch, startTime, TELL_START, wallMs } from './raw-floor.ts';

const ROUNDS = 200;
const WARM_UP = 50;

/**
 * From the call that submits a task to its process having started, on an idle cluster of one node on etcd. The floor is the
 * same way made raw, in turns: put, seen by a watch, a claim transaction, a spawn. In both, the process itself tells when it
 * started, so both count the start of bash too.
 */
export const bench: Bench = async log => {
  await using etcd = await benchCluster();
  await using raw = await RawDispatch.open(await etcd.connect(), await etcd.connect());
  await using dispatch = await openDispatch(etcd);
  const floor: number[] = [];
  const times: number[] = [];
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    if (round % 50 === 0) log(`round ${round} of ${ROUNDS}`);
    const [one, other] = [await raw.time(), await dispatch.time()];
    if (round < 0) continue;
    floor.push(one);
    times.push(other);
  }
  return [
    figure('submit → process started, p50', percentile(times, 50), 'ms', {
      floor: percentile(floor, 50),
      aim: { of: 'ratio', atMost: 1.5 },
    }),
    figure('submit → process started, p99', percentile(times, 99), 'ms', { floor: percentile(floor, 99) }),
  ];
};

async function openDispatch(etcd: BenchCluster): Promise<{ time(): Promise<number> } & AsyncDisposable> {
  const submitter = await etcd.join();
  const cluster = await etcd.join();
  const started = new Map<TaskId, number>();
  const real = await realExecutor(cluster, {
    onOutput: (task, text) => {
      const time = startTime(text);
      if (time !== undefined) started.set(task, time);
    },
  });
  const node = await compete(cluster, 'n1', { executor: real.executor, onRenewed: real.onRenewed, slots: 2 });
  const time = async () => {
    const id = newTaskId(5, Date.now(), Math.random);
    const begun = wallMs();
    await submitTask(
      submitter,
      new History(submitter),
      id,
      taskSpec({ steps: [{ run: TELL_START, shell: 'bash' }] }),
      'bench',
      neverAborted,
    );
    const start = await eventually('the process told its start', () => started.get(id));
    await eventually('the task completed', async () => (await readTaskState(cluster, id, neverAborted)).completed);
    return start - begun;
  };
  return {
    time,
    [Symbol.asyncDispose]: async () => {
      await node[Symbol.asyncDispose]();
      await real[Symbol.asyncDispose]();
    },
  };
}
