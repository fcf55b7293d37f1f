import { newTokenText } from '../../node-runtime/cluster/token-text.ts';
import { startBareServer } from '../support/bare-server.ts';
import { startEtcd } from '../support/etcd-server.ts';
import { crowdBound, gatherCrowd, slowLines } from '../support/log-crowd.ts';
import { cpuMs, residentBytes } from '../support/process-usage.ts';
import { type RealCluster, type RealNode, realCluster } from '../support/real-cluster.ts';
import { flood } from '../support/refusals.ts';
import { type Bench, type Figure, figure, median, percentile } from './figures.ts';

const CROWD = { reads: 800, 'gives no credit': 100, 'stops reading': 100 };
const FOLLOWERS = 1000;
const STALLED = 200;
const LINES = 131_072;
const REQUESTS = 10_000;
const WARM_UP = 5000;
const LIMIT_MS = 600_000;

/** One node, with a crowd that follows one log and with a flood of requests that it has to refuse. */
export const bench: Bench = async log => {
  await using etcd = await startEtcd();
  await using cluster = await realCluster({ etcd }, 'n1');
  const node = cluster.nodes[0]!;
  return [...(await measureCrowd(cluster, node, log)), ...(await measureFlood(cluster, node, log))];
};

async function measureCrowd(cluster: RealCluster, node: RealNode, log: (text: string) => void): Promise<Figure[]> {
  const pid = node.process.pid!;
  const { command, output } = slowLines(LINES, 0.3);
  const id = await cluster.submit({ steps: [{ run: command }] });
  const before = await residentBytes(pid);
  const cpuBefore = await cpuMs(pid);
  log(`crowd: ${FOLLOWERS} followers of ${output.length / 2 ** 20} MiB, ${STALLED} of them stalled`);
  using crowd = await gatherCrowd(node.address, cluster.token, id, output, CROWD);
  const readers = Promise.all(crowd.of('reads').map(({ whole }) => whole));
  // It is awaited below, after the tasks.
  readers.catch(() => undefined);
  const busy = await taskTimes(cluster);
  const most = await mostMemory(pid, readers);
  const grown = Math.max(0, most - before);
  const delivered = crowd.followers.reduce((sum, { at }) => sum + at, 0);
  const cpu = (await cpuMs(pid)) - cpuBefore;
  for (const follower of crowd.of('gives no credit')) follower.becomeGenerous();
  await Promise.all(crowd.of('gives no credit').map(({ whole }) => whole));
  await cluster.finished(id, LIMIT_MS);
  return [
    figure('followers of one log that had every byte, 200 others stalled', CROWD.reads, 'followers', {
      aim: { of: 'value', atLeast: CROWD.reads },
    }),
    figure('memory that 1,000 followers add to a node', grown / 1e6, 'MB', {
      aim: { of: 'value', atMost: Math.round(crowdBound(CROWD) / 1e6) },
    }),
    figure('processor time per MiB delivered', cpu / (delivered / 2 ** 20), 'ms'),
    figure('a task meanwhile, from submission to verdict', median(busy), 'ms'),
  ];
}

/** What a node's memory comes to until the work is done. */
async function mostMemory(pid: number, work: Promise<unknown>): Promise<number> {
  let most = 0;
  let isDone = false as boolean; // What is done to it in a callback, the compiler does not see.
  const done = work.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    most = Math.max(most, await residentBytes(pid));
    await Promise.race([done, new Promise(resolve => setTimeout(resolve, 200))]);
  }
  await done;
  return most;
}

async function taskTimes(cluster: RealCluster): Promise<number[]> {
  const times: number[] = [];
  for (let count = 0; count < 5; count++) {
    const { times: at } = await cluster.finished(await cluster.submit({}), LIMIT_MS);
    times.push(at.finished - at.submitted);
  }
  return times;
}

async function measureFlood(cluster: RealCluster, node: RealNode, log: (text: string) => void): Promise<Figure[]> {
  const pid = node.process.pid!;
  await using bare = await startBareServer();
  log('flood: a bare server');
  const floor = (await costOf(bare.pid, bare.url, () => ({}))).microseconds;
  const kinds = [
    ['no token', () => ({})],
    ['a token that somebody has invented', () => ({ authorization: `Bearer ${newTokenText('admin').text}` })],
  ] as const;
  const figures: Figure[] = [];
  for (const [what, headersOf] of kinds) {
    log(`flood: ${what}`);
    const over = new AbortController();
    const served = latencies(`${node.address}/v1/cluster`, cluster.token, over.signal);
    const { microseconds, grown, perSecond } = await costOf(pid, `${node.address}/v1/tasks`, headersOf);
    over.abort();
    const times = await served;
    figures.push(
      figure(`refusal of ${what}, processor time`, microseconds, 'µs', { floor, aim: { of: 'ratio', atMost: 4 } }),
      figure(`refusals of ${what}`, perSecond, 'a second'),
      figure(`memory that ${REQUESTS.toLocaleString('en-GB')} more of them add`, Math.max(0, grown) / 1e6, 'MB', {
        aim: { of: 'value', atMost: 50 },
      }),
      figure('a request with a token meanwhile, p99', percentile(times, 99), 'ms'),
    );
  }
  return figures;
}

async function costOf(pid: number, url: string, headersOf: (index: number) => Readonly<Record<string, string>>) {
  await flood(url, WARM_UP, headersOf);
  const [cpu, memory, started] = [await cpuMs(pid), await residentBytes(pid), performance.now()];
  await flood(url, REQUESTS, headersOf);
  const seconds = (performance.now() - started) / 1000;
  const microseconds = (((await cpuMs(pid)) - cpu) * 1000) / REQUESTS;
  return { microseconds, grown: (await residentBytes(pid)) - memory, perSecond: REQUESTS / seconds };
}

/** Of requests with a good token, one after another, for as long as it goes on. Every one must be served. */
async function latencies(url: string, token: string, signal: AbortSignal): Promise<number[]> {
  const times: number[] = [];
  do {
    const started = performance.now();
    const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    await answer.arrayBuffer();
    if (answer.status !== 200) throw new Error(`A request with a token was answered ${answer.status}`);
    times.push(performance.now() - started);
  } while (!signal.aborted);
  return times;
}
