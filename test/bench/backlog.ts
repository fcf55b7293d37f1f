import { newTaskId } from '../../shared/ids.ts';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { History } from '../../node-runtime/queue/history.ts';
import { submitTask } from '../../node-runtime/queue/submit.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { giveBackMemory } from '../../node-runtime/system/give-back-memory.ts';
import { compete, NOTHING_DONE } from '../support/competitor.ts';
import { taskSpec } from '../support/test-tasks.ts';
import { type BenchCluster, benchCluster } from './bench-cluster.ts';
import { type Bench, figure, median } from './figures.ts';

const DEPTHS = [10, 10_000, 100_000];
const ROUNDS = 7;
const CLAIMS = 40;
/** What a node does once as it starts is told apart. */
const FIRST_CLAIMS = 5;

/**
 * How long a node with a free slot takes to its next claim, with few and with very many tasks queued; and how much memory its
 * view of the queue takes. The floor is the latency with ten tasks queued. Each depth has an etcd of its own; all are measured
 * in turns.
 */
export const bench: Bench = async log => {
  await using stack = new AsyncDisposableStack();
  const queues: Queue[] = [];
  for (const depth of DEPTHS) {
    log(`queueing ${depth} tasks`);
    queues.push(new Queue(depth, stack.use(await benchCluster())));
    await queues.at(-1)!.fill(depth);
  }
  for (let round = 0; round < ROUNDS; round++) {
    log(`round ${round + 1} of ${ROUNDS}`);
    for (const queue of queues) await queue.measure();
  }
  const [few] = queues;
  return queues.flatMap(({ depth, latencies, firsts, memory }) => [
    figure(`claim latency, ${depth} queued`, median(latencies), 'ms', {
      floor: median(few!.latencies),
      aim: { of: 'ratio', atMost: 1.5 },
    }),
    figure(`first claim of a node that starts, ${depth} queued`, median(firsts), 'ms'),
    figure(`memory held, ${depth} queued`, Math.max(0, median(memory)) / 1e6, 'MB', {
      aim: { of: 'value', atMost: 16 },
    }),
  ]);
};

class Queue {
  readonly depth: number;
  readonly latencies: number[] = [];
  readonly firsts: number[] = [];
  readonly memory: number[] = [];
  readonly #etcd: BenchCluster;
  #cluster: Promise<Cluster> | undefined;

  constructor(depth: number, etcd: BenchCluster) {
    this.depth = depth;
    this.#etcd = etcd;
  }

  async fill(count: number): Promise<void> {
    this.#cluster ??= this.#etcd.join();
    const cluster = await this.#cluster;
    const workers = Array.from({ length: 64 }, async (_, at) => {
      for (let i = at; i < count; i += 64) {
        await submitTask(
          cluster,
          new History(cluster),
          newTaskId(5, Date.now(), Math.random),
          taskSpec(),
          'bench',
          neverAborted,
        );
      }
    });
    await Promise.all(workers);
  }

  /** One slot and tasks that end at once: the time between two claims is completing one task and claiming the next. */
  async measure(): Promise<void> {
    await this.fill(CLAIMS);
    const cluster = await this.#cluster!;
    const before = heldBytes();
    const started: number[] = [];
    const enough = Promise.withResolvers<void>();
    const executor = {
      execute: async () => {
        if (started.push(performance.now()) >= CLAIMS) enough.resolve();
        return NOTHING_DONE;
      },
    };
    const begun = performance.now();
    await using node = await compete(cluster, 'n1', { executor });
    await enough.promise;
    this.memory.push(heldBytes() - before);
    await node.stop();
    const times = started.slice(0, CLAIMS);
    this.firsts.push(times[0]! - begun);
    this.latencies.push(...times.slice(FIRST_CLAIMS).map((at, i) => at - times[i + FIRST_CLAIMS - 1]!));
    // What was claimed beyond what was put for it.
    await this.fill(started.length - CLAIMS);
  }
}

/** What is referred to, garbage apart. */
function heldBytes(): number {
  giveBackMemory();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
