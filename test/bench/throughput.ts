import { availableParallelism } from 'node:os';
import { History } from '../../node-runtime/queue/history.ts';
import { submitTask } from '../../node-runtime/queue/submit.ts';
import type { Executor } from '../../node-runtime/runner/executor.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { newTaskId } from '../../shared/ids.ts';
import { type Competitor, type CompetitorOptions, compete, idleExecutor } from '../support/competitor.ts';
import { taskSpec } from '../support/test-tasks.ts';
import { type BenchCluster, benchCluster } from './bench-cluster.ts';

import { type Bench, type Figure, figure, median } from './figures.ts';
import { rawSpawnsPerSecond, rawTransactionsPerSecond } from './raw-floor.ts';

const NODES = [1, 8, 50];
const SLOTS = 64;
const RUNS = 3;
const SECONDS = 4;

/**
 * No-op tasks a second through their whole life (submitted, claimed, completed), all nodes and submitters in this process on
 * one etcd. The floor of the idle executor is a third of the raw transactions a second, as a task takes three; that of the
 * real one is raw spawns a second, or that, whichever is less. Free nodes watch, so each transaction is told to each of them:
 * the second floor is what is left of the first when as many raw watchers are told, and nobody does anything with it.
 */
export const bench: Bench = async log => {
  const figures: Figure[] = [];
  for (const nodes of NODES) {
    log(`${nodes} nodes, idle executor`);
    figures.push(...(await measure(nodes)));
  }
  log('1 node, real processes');
  figures.push(...(await measureSpawning()));
  return figures;
};

async function measure(nodes: number): Promise<Figure[]> {
  const rates: number[] = [];
  const prices: number[] = [];
  const floors: number[] = [];
  const toldFloors: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    await using etcd = await benchCluster();
    const clients = Array.from({ length: Math.min(nodes, 8) }, () => etcd.connectRaw());
    floors.push((await rawTransactionsPerSecond(clients, 64, SECONDS / 2)) / 3);
    const watchers = await Promise.all(Array.from({ length: nodes }, () => etcd.connect()));
    toldFloors.push((await rawTransactionsPerSecond(clients, 64, SECONDS / 2, watchers)) / 3);
    await Promise.all(watchers.map(store => store[Symbol.asyncDispose]()));
    const { rate, price } = await drain(etcd, nodes, () => ({ executor: idleExecutor }));
    rates.push(rate);
    prices.push(price);
  }
  const price = { aim: { of: 'value', atMost: 1.2 } } as const;
  return [
    figure(`no-op tasks, ${nodes} nodes, idle executor`, median(rates), 'tasks/s', {
      floor: median(floors),
      aim: { of: 'ratio', atLeast: 0.7 },
    }),
    figure(`the same, against transactions that ${nodes} watchers are told of`, median(rates), 'tasks/s', {
      floor: median(toldFloors),
    }),
    figure(`claim transactions a claim, ${nodes} nodes`, median(prices), 'transactions', nodes === 50 ? price : {}),
  ];
}

/** Lets submitters keep a backlog of a few hundred while nodes run it down; counts completions for some seconds. */
async function drain(
  etcd: BenchCluster,
  nodes: number,
  worker: () => Pick<CompetitorOptions, 'onRenewed'> & { readonly executor: Executor },
): Promise<{ rate: number; price: number }> {
  const submitter = await etcd.join();
  let submitted = 0;
  let completed = 0;
  const counting = (inner: Executor): Executor => ({
    execute: async (claim, stop) => {
      const outcome = await inner.execute(claim, stop);
      completed++;
      return outcome;
    },
  });
  const slots = Math.max(1, Math.floor(SLOTS / nodes));
  const members: Competitor[] = [];
  for (let i = 0; i < nodes; i++) {
    const { executor, ...rest } = worker();
    members.push(await compete(await etcd.join(), `n${i}`, { ...rest, slots, executor: counting(executor) }));
  }
  const stop = new AbortController();
  const submitters = Array.from({ length: 16 }, async () => {
    while (!stop.signal.aborted) {
      if (submitted - completed > 300) await new Promise(resolve => setTimeout(resolve, 2));
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
  await new Promise(resolve => setTimeout(resolve, 1500));
  const before = { completed, ...sum(members) };
  const started = performance.now();
  await new Promise(resolve => setTimeout(resolve, SECONDS * 1000));
  const after = { completed, ...sum(members) };
  const seconds = (performance.now() - started) / 1000;
  stop.abort();
  await Promise.all(submitters);
  await Promise.all(members.map(member => member[Symbol.asyncDispose]()));
  const claims = after.claims - before.claims;
  return {
    rate: (after.completed - before.completed) / seconds,
    price: (after.transactions - before.transactions) / claims,
  };
}

function sum(members: readonly Competitor[]): { claims: number; transactions: number } {
  const claims = members.reduce((total, { claims }) => total + claims.length, 0);
  return {
    claims,
    transactions: members.reduce((total, { transactions }) => total + transactions.won + transactions.lost, 0),
  };
}

async function measureSpawning(): Promise<Figure[]> {
  const rates: number[] = [];
  const floors: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    await using etcd = await benchCluster();
    const spawns = await rawSpawnsPerSecond(availableParallelism() * 2, SECONDS / 2);
    const transactions = await rawTransactionsPerSecond([etcd.connectRaw()], 64, SECONDS / 2);
    floors.push(Math.min(spawns, transactions / 3));
    const { realExecutor } = await import('./bench-executor.ts');
    await using real = await realExecutor(await etcd.join());
    rates.push((await drain(etcd, 1, () => real)).rate);
  }
  return [
    figure('no-op tasks, 1 node, `true` really spawned', median(rates), 'tasks/s', {
      floor: median(floors),
      aim: { of: 'ratio', atLeast: 0.7 },
    }),
  ];
}
