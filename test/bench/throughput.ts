import { availableParallelism } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { History } from '../../node-runtime/queue/history.ts';
import { submitTask } from '../../node-runtime/queue/submit.ts';
import type { Executor } from '../../node-runtime/runner/executor.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { newTaskId } from '../../shared/ids.ts';
import { type Competitor, type CompetitorOptions, compete, idleExecutor } from '../support/competitor.ts';
import { cpuMs } from '../support/process-usage.ts';
import { taskSpec } from '../support/test-tasks.ts';
import { type BenchCluster, benchCluster } from './bench-cluster.ts';
import { type Bench, type Figure, figure, median } from './figures.ts';
import { rawSpawnsPerSecond, rawTransactionsPerSecond } from './raw-floor.ts';

const NODES = [1, 8, 50];
const SLOTS = 64;
/** Transactions of the floor under way at once, and submissions: with a quarter of them, eight nodes ran a long queue down. */
const IN_FLIGHT = 64;
const RUNS = 3;
const SECONDS = 4;
/** Nodes learn in this time how many they are. */
const WARM_UP_MS = 3000;
/** Tasks that wait and run at any time: a queue that is soon worked off, and the long one of a cluster with more to do than it can. */
const SHORT = 300;
const LONG = 4000;

/**
 * No-op tasks a second through their whole life (submitted, claimed, completed), all nodes and submitters in this process on
 * one etcd. The floor of the idle executor is a third of the raw transactions a second, as a task takes three; that of the
 * real one is raw spawns a second, or that, whichever is less. Free nodes watch a short queue, so each transaction is told to
 * each of them: the second floor is what is left of the first when as many raw watchers are told, and nobody does anything
 * with it.
 */
export const bench: Bench = async log => {
  const figures: Figure[] = [];
  for (const nodes of NODES) {
    log(`${nodes} nodes, idle executor`);
    figures.push(...(await measure(nodes)));
  }
  for (const nodes of NODES) {
    log(`${nodes} nodes, real processes`);
    figures.push(await measureSpawning(nodes));
  }
  return figures;
};

/** What came out of letting nodes run a queue down. */
interface Drained {
  readonly rate: number;
  /** Claim transactions a claim. */
  readonly price: number;
  /** Of this process and of etcd, in milliseconds a task. */
  readonly processor: number;
  readonly etcdProcessor: number;
}

async function measure(nodes: number): Promise<Figure[]> {
  const short: Drained[] = [];
  const long: Drained[] = [];
  const floors: number[] = [];
  const toldFloors: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    await using etcd = await benchCluster();
    const clients = Array.from({ length: Math.min(nodes, 8) }, () => etcd.connectRaw());
    floors.push((await rawTransactionsPerSecond(clients, IN_FLIGHT, SECONDS / 2)) / 3);
    const watchers = await Promise.all(Array.from({ length: nodes }, () => etcd.connect()));
    toldFloors.push((await rawTransactionsPerSecond(clients, IN_FLIGHT, SECONDS / 2, watchers)) / 3);
    await Promise.all(watchers.map(store => store[Symbol.asyncDispose]()));
    short.push(await drain(etcd, nodes, doesNothing, SHORT));
    await using other = await benchCluster();
    long.push(await drain(other, nodes, doesNothing, LONG));
  }
  const floor = median(floors);
  const ofFloor = { floor, aim: { of: 'ratio', atLeast: 0.7 } } as const;
  const told = { floor: median(toldFloors) };
  return [
    ...figuresOf(`${nodes} nodes, long queue`, long, ofFloor, nodes === 50),
    ...figuresOf(`${nodes} nodes, short queue`, short, ofFloor, nodes === 50),
    figure(
      `the same, against transactions that ${nodes} watchers are told of`,
      medianOf(short, 'rate'),
      'tasks/s',
      told,
    ),
  ];
}

function figuresOf(
  what: string,
  runs: readonly Drained[],
  ofFloor: Parameters<typeof figure>[3],
  isAimedAt: boolean,
): Figure[] {
  const price = isAimedAt ? ({ aim: { of: 'value', atMost: 1.2 } } as const) : {};
  return [
    figure(`no-op tasks, ${what}`, medianOf(runs, 'rate'), 'tasks/s', ofFloor),
    figure(`claim transactions a claim, ${what}`, medianOf(runs, 'price'), 'transactions', price),
    figure(`processor time a task, nodes and submitters, ${what}`, medianOf(runs, 'processor'), 'ms'),
    figure(`processor time a task, etcd, ${what}`, medianOf(runs, 'etcdProcessor'), 'ms'),
  ];
}

function medianOf(runs: readonly Drained[], name: keyof Drained): number {
  return median(runs.map(run => run[name]));
}

/** Who works for a node. */
type Worker = Pick<CompetitorOptions, 'onRenewed'> & { readonly executor: Executor } & AsyncDisposable;
type Hire = (cluster: Cluster) => Promise<Worker>;

const doesNothing: Hire = async () => ({ executor: idleExecutor, [Symbol.asyncDispose]: async () => undefined });

/** Lets submitters keep a backlog while nodes run it down; counts completions for some seconds. */
async function drain(etcd: BenchCluster, nodes: number, hire: Hire, backlog: number): Promise<Drained> {
  const submitter = await etcd.join();
  let submitted = 0;
  let completed = 0;
  const counting = (executor: Executor): Executor => ({
    execute: async (claim, stop) => {
      const outcome = await executor.execute(claim, stop);
      completed++;
      return outcome;
    },
  });
  const stop = new AbortController();
  const submitters = Array.from({ length: IN_FLIGHT }, async () => {
    while (!stop.signal.aborted) {
      if (submitted - completed > backlog) await pause(2);
      else {
        submitted++;
        await submitTask(
          submitter,
          new History(submitter),
          newTaskId(5, Date.now(), Math.random),
          taskSpec(),
          'bench',
          neverAborted,
        );
      }
    }
  });
  while (submitted < backlog) await pause(2);
  const slots = Math.max(1, Math.floor(SLOTS / nodes));
  await using workers = new AsyncDisposableStack();
  const members: Competitor[] = [];
  for (let i = 0; i < nodes; i++) {
    const cluster = await etcd.join();
    const { executor, onRenewed } = workers.use(await hire(cluster));
    const options = { slots, executor: counting(executor), ...(onRenewed && { onRenewed }) };
    members.push(await compete(cluster, `n${i}`, options));
  }
  await pause(WARM_UP_MS);
  const look = async () => ({
    completed,
    ...sum(members),
    processor: processorMs(process.cpuUsage()),
    etcdProcessor: await cpuMs(etcd.etcd.members[0]!.pid),
    at: performance.now(),
  });
  const before = await look();
  await pause(SECONDS * 1000);
  const after = await look();
  stop.abort();
  await Promise.all(submitters);
  await Promise.all(members.map(member => member[Symbol.asyncDispose]()));
  const tasks = after.completed - before.completed;
  return {
    rate: (tasks / (after.at - before.at)) * 1000,
    price: (after.transactions - before.transactions) / (after.claims - before.claims),
    processor: (after.processor - before.processor) / tasks,
    etcdProcessor: (after.etcdProcessor - before.etcdProcessor) / tasks,
  };
}

function processorMs({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1000;
}

function sum(members: readonly Competitor[]): { claims: number; transactions: number } {
  const claims = members.reduce((total, { claims }) => total + claims.length, 0);
  return {
    claims,
    transactions: members.reduce((total, { transactions }) => total + transactions.won + transactions.lost, 0),
  };
}

async function measureSpawning(nodes: number): Promise<Figure> {
  const { realExecutor } = await import('./bench-executor.ts');
  const rates: number[] = [];
  const floors: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    await using etcd = await benchCluster();
    const spawns = await rawSpawnsPerSecond(availableParallelism() * 2, SECONDS / 2);
    const transactions = await rawTransactionsPerSecond([etcd.connectRaw()], IN_FLIGHT, SECONDS / 2);
    floors.push(Math.min(spawns, transactions / 3));
    rates.push((await drain(etcd, nodes, realExecutor, SHORT)).rate);
  }
  return figure(`no-op tasks, ${nodes} nodes, \`true\` really spawned`, median(rates), 'tasks/s', {
    floor: median(floors),
    aim: { of: 'ratio', atLeast: 0.7 },
  });
}
