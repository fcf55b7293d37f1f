import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Store } from '../../node-runtime/store/store.ts';
import { deadline, neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { build, bundle } from '../../scripts/build.mjs';
import { cpuMs, residentBytes } from '../support/process-usage.ts';
import { benchCluster } from './bench-cluster.ts';
import { type Bench, figure, median } from './figures.ts';

const RUNS = 7;
/** A node gives back what starting took after 5 s. */
const SETTLED_MS = 7000;

/**
 * From the start of the node's process to its member key in etcd, as the bundle that users run; and the memory of an idle
 * node some seconds later. The floor is the start of the same Node doing nothing.
 */
export const bench: Bench = async log => {
  await build();
  const times: number[] = [];
  const work: number[] = [];
  const floors: number[] = [];
  const memory: number[] = [];
  const supervisors: number[] = [];
  await using etcd = await benchCluster();
  const store = await etcd.connect();
  const home = await mkdtemp(join(tmpdir(), 'simple-ci-startup-'));
  for (let run = 0; run < RUNS; run++) {
    log(`start ${run + 1} of ${RUNS}`);
    floors.push(await timeOf(async () => void (await once(spawn(process.execPath, ['-e', '0']), 'close'))));
    const folder = join(home, `n${run}`);
    let node: ChildProcess | undefined;
    times.push(
      await timeOf(async () => {
        node = startNode(home, folder, etcd.etcd.endpoints.join(','), run);
        await memberKey(store, run);
      }),
    );
    work.push(await cpuMs(node!.pid!));
    await new Promise(resolve => setTimeout(resolve, SETTLED_MS));
    memory.push(await residentBytes(node!.pid!));
    supervisors.push(await residentBytes(await supervisorOf(node!.pid!)));
    node!.kill('SIGTERM');
    await once(node!, 'close');
  }
  await rm(home, { recursive: true, force: true });
  // The first start compiles the program and keeps what it compiled; every later one uses that.
  return [
    figure('start → member in etcd', median(times), 'ms', { floor: median(floors), aim: { of: 'value', atMost: 300 } }),
    figure('processor time of that', median(work), 'ms'),
    figure('first start of a new build → member in etcd', times[0]!, 'ms', { floor: floors[0]! }),
    figure('memory of an idle node', median(memory) / 1e6, 'MB', { aim: { of: 'value', atMost: 90 } }),
    figure('memory of its supervisor', median(supervisors) / 1e6, 'MB'),
  ];
};

function startNode(home: string, folder: string, endpoints: string, run: number): ChildProcess {
  const args = [
    'node',
    '--cluster',
    'bench/startup',
    '--etcd',
    endpoints,
    '--data',
    folder,
    '--listen',
    '127.0.0.1:0',
    '--node-id',
    `n${run}`,
  ];
  return spawn(process.execPath, [bundle, ...args], {
    stdio: 'ignore',
    env: { PATH: process.env.PATH ?? '', HOME: home },
  });
}

/** Resolves when it is told of the key. */
async function memberKey(store: Store, run: number): Promise<void> {
  const key = `bench/startup/members/n${run}`;
  using limit = deadline(systemClock, 30_000, neverAborted);
  for await (const { changes } of store.watch({ prefix: key, from: 1 }, limit.signal)) if (changes.length > 0) return;
}

async function timeOf(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** The last in the line of its descendants: a shell stands between them. */
async function supervisorOf(pid: number): Promise<number> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim();
  return children === '' ? pid : supervisorOf(Number(children.split(' ')[0]));
}
