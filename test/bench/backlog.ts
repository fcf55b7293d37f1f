import { newTaskId } from '../../shared/ids.ts';
import { submitTask } from '../../node-runtime/queue/submit.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { compete, NOTHING_DONE } from '../support/competitor.ts';
import { taskSpec } from '../support/test-tasks.ts';
import { type BenchCluster, benchCluster } from './bench-cluster.ts';
import { type Bench, figure, median } from './figures.ts';

const DEPTHS = [10, 10_000, 100_000];
const CLAIMS = 60;

/**
 * How long a node with a free slot takes to its next claim, with few and with very many tasks queued; and how much memory the
 * view of the queue takes. The floor is the latency with ten tasks queued, in the same run.
 */
export const bench: Bench = async log => {
  const results = [];
  for (const depth of DEPTHS) {
    await using etcd = await benchCluster();
    log(`${depth} queued tasks`);
    await fill(etcd, depth);
    results.push({ depth, ...(await measure(etcd)) });
  }
  const [few] = results;
  return results.flatMap(({ depth, latencies, first, memory }) => [
    figure(`claim latency, ${depth} queued`, median(latencies), 'ms', {
      floor: median(few!.latencies),
      aim: { of: 'ratio', atMost: 1.5 },
    }),
    figure(`first claim after start, ${depth} queued`, first, 'ms'),
    figure(`memory grown while claiming, ${depth} queued`, memory / 1e6, 'MB', { aim: { of: 'value', atMost: 64 } }),
  ]);
};

async function fill(etcd: BenchCluster, depth: number): Promise<void> {
  const cluster = await etcd.join();
  const workers = Array.from({ length: 64 }, async (_, at) => {
    for (let i = at; i < depth; i += 64) {
      await submitTask(cluster, newTaskId(5, Date.now(), Math.random), taskSpec(), 'bench', neverAborted);
    }
  });
  await Promise.all(workers);
}

/** One slot and tasks that end at once: the time between two claims is completing one task and claiming the next. */
async function measure(etcd: BenchCluster): Promise<{ latencies: number[]; first: number; memory: number }> {
  const cluster = await etcd.join();
  const submitter = await etcd.join();
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  const started: number[] = [];
  const begun = performance.now();
  const executor = {
    execute: async () => {
      started.push(performance.now());
      return NOTHING_DONE;
    },
  };
  await using node = await compete(cluster, 'n1', { executor });
  // A queue of ten is kept at ten: each claim is followed by a submission, as in the deep ones there is always more.
  while (started.length < CLAIMS) {
    const seen = started.length;
    await submitTask(
      submitter,
      newTaskId(9, Date.now(), Math.random),
      taskSpec({ priority: 9 }),
      'bench',
      neverAborted,
    );
    while (started.length === seen) await new Promise(resolve => setImmediate(resolve));
  }
  await node.stop();
  const latencies = started.slice(1).map((at, i) => at - started[i]!);
  return {
    latencies: latencies.slice(CLAIMS / 2),
    first: started[0]! - begun,
    memory: process.memoryUsage().rss - before,
  };
}
