import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, bundle } from '../../scripts/build.mjs';
import { binary, buildBinaries } from '../../scripts/build-binary.mjs';
import { type Bench, figure, median } from './figures.ts';

const VERSIONS = 31;
const NODES = 7;
const TICK_MS = 10;

/**
 * The one executable: its size, whether a second build is the same, and its starts. The floor of `--version` is the same Node
 * doing nothing; that of a node is the script, whose compiled code lies in a cache folder by then.
 */
export const bench: Bench = async log => {
  await build();
  log('building it twice');
  await buildBinaries();
  const first = await readFile(binary);
  await buildBinaries();
  const second = await readFile(binary);
  await using stack = new AsyncDisposableStack();
  const home = await mkdtemp(join(tmpdir(), 'simple-ci-bench-binary-'));
  stack.defer(() => rm(home, { recursive: true, force: true }));
  const env = { HOME: home, PATH: process.env.PATH ?? '' };

  const programs = {
    nothing: [process.execPath, '-e', '0'],
    binary: [binary, '--version'],
    script: [process.execPath, bundle, '--version'],
  };
  type Name = keyof typeof programs;
  const times: Record<Name, number[]> = { nothing: [], binary: [], script: [] };
  const work: Record<Name, number> = { nothing: 0, binary: 0, script: 0 };
  for (let run = 0; run < VERSIONS; run++) {
    if (run % 10 === 0) log(`--version, ${run} of ${VERSIONS}`);
    for (const [name, argv] of Object.entries(programs)) {
      const before = await childrenCpuMs();
      times[name as Name].push(await timeOf(() => toEnd(argv, env)));
      work[name as Name] += ((await childrenCpuMs()) - before) / VERSIONS;
    }
  }
  const nodes = { binary: [] as number[], script: [] as number[] };
  for (let run = 0; run < NODES; run++) {
    log(`node, ${run + 1} of ${NODES}`);
    nodes.binary.push(await timeToReady([binary], env));
    nodes.script.push(await timeToReady([process.execPath, bundle], env));
  }
  const floor = median(times.nothing);
  return [
    figure('size', first.length / 1e6, 'MB', { aim: { of: 'value', atMost: 115 } }),
    figure('bytes that differ in a second build', differences(first, second), 'bytes', {
      aim: { of: 'value', atMost: 0 },
    }),
    figure('simple-ci --version', median(times.binary), 'ms', { floor, aim: { of: 'ratio', atMost: 1.3 } }),
    figure('processor time of that', work.binary, 'ms', { floor: work.nothing, aim: { of: 'ratio', atMost: 1.3 } }),
    figure('the same as a script', median(times.script), 'ms', { floor }),
    figure('simple-ci node, without etcd → ready', median(nodes.binary), 'ms', { floor: median(nodes.script) }),
  ];
};

type Env = Readonly<Record<string, string>>;

async function toEnd([program = '', ...args]: readonly string[], env: Env): Promise<void> {
  const [code] = await once(spawn(program, args, { env, stdio: 'ignore' }), 'close');
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
}

async function timeToReady([program = '', ...args]: readonly string[], env: Env): Promise<number> {
  const data = await mkdtemp(join(env.HOME ?? '', 'data-'));
  const words = ['node', '--json', '--cluster', 'bench', '--listen', '127.0.0.1:0', '--data', data];
  let node: ChildProcess | undefined;
  const time = await timeOf(async () => {
    node = spawn(program, [...args, ...words], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    for await (const chunk of node.stdout!) {
      text += chunk;
      if (text.includes('"event":"ready"')) return;
    }
    throw new Error(`The node ended before it was ready: ${text}`);
  });
  node!.kill('SIGTERM');
  if (node!.exitCode === null) await once(node!, 'exit');
  return time;
}

async function timeOf(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** User and system time of all children that have ended so far. It counts in ticks: only the sum of many says something. */
async function childrenCpuMs(): Promise<number> {
  const fields = (await readFile('/proc/self/stat', 'utf8')).replace(/^.*\) /, '').split(' ');
  return (Number(fields[13]) + Number(fields[14])) * TICK_MS;
}

function differences(first: Buffer, second: Buffer): number {
  let count = Math.abs(first.length - second.length);
  for (let at = 0; at < Math.min(first.length, second.length); at++) if (first[at] !== second[at]) count++;
  return count;
}
