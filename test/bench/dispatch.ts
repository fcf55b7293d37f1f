import { readTaskState } from '../../node-runtime/queue/records.ts';
import { submitTask } from '../../node-runtime/queue/submit.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { newTaskId, type TaskId } from '../../shared/ids.ts';
import { compete } from '../support/competitor.ts';
import { eventually, taskSpec } from '../support/test-tasks.ts';
import { benchCluster } from './bench-cluster.ts';
import { realExecutor } from './bench-executor.ts';
import { type Bench, figure, percentile } from './figures.ts';
import { rawDispatchMs, startTime, TELL_START, wallMs } from './raw-floor.ts';

const ROUNDS = 150;
const WARM_UP = 50;

/**
 * From the call that submits a task to its process having started, on an idle cluster of one node on etcd. The floor is the
 * same path made raw: put, seen by a watch, a claim transaction, a spawn. In both, the process itself tells when it started, so both
 * count the start of bash too.
 */
export const bench: Bench = async log => {
  await using etcd = await benchCluster();
  log('the floor');
  const floor = (await rawDispatchMs(await etcd.connect(), await etcd.connect(), ROUNDS + WARM_UP)).slice(WARM_UP);
  log('submitting tasks');
  const times = (await measure(etcd)).slice(WARM_UP);
  return [
    figure('submit → process started, p50', percentile(times, 50), 'ms', {
      floor: percentile(floor, 50),
      aim: { of: 'ratio', atMost: 1.5 },
    }),
    figure('submit → process started, p99', percentile(times, 99), 'ms', { floor: percentile(floor, 99) }),
  ];
};

async function measure(etcd: Awaited<ReturnType<typeof benchCluster>>): Promise<number[]> {
  const submitter = await etcd.join();
  const cluster = await etcd.join();
  const started = new Map<TaskId, number>();
  await using real = await realExecutor(cluster, {
    onOutput: (task, text) => {
      const time = startTime(text);
      if (time !== undefined) started.set(task, time);
    },
  });
  await using _node = await compete(cluster, 'n1', { executor: real.executor, slots: 2 });
  const times: number[] = [];
  for (let round = 0; round < ROUNDS + WARM_UP; round++) {
    const id = newTaskId(5, Date.now(), Math.random);
    const begun = wallMs();
    await submitTask(submitter, id, taskSpec({ steps: [{ run: TELL_START, shell: 'bash' }] }), 'bench', neverAborted);
    const time = await eventually('the process told its start', () => started.get(id));
    times.push(time - begun);
    await eventually('the task completed', async () => (await readTaskState(cluster, id, neverAborted)).completed);
  }
  return times;
}
