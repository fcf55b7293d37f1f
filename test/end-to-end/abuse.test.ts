import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { newTokenText } from '../../node-runtime/cluster/token-text.ts';
import { startBareServer } from '../support/bare-server.ts';
import { type EtcdServer, requireEtcd, startEtcd } from '../support/etcd-server.ts';
import { crowdBound, gatherCrowd, slowLines } from '../support/log-crowd.ts';
import { cpuMs, residentBytes } from '../support/process-usage.ts';
import { type RealCluster, realCluster } from '../support/real-cluster.ts';
import { flood } from '../support/refusals.ts';
import { eventually } from '../support/test-tasks.ts';

const LIMIT_MS = 580_000;
/** How many times a bare server's share of processor time a refusal may cost: it is looked at, answered in JSON and counted. */
const MOST_RATIO = 12;

let etcd: EtcdServer;
let cluster: RealCluster;

suite('one node among many who do not mean well', { timeout: LIMIT_MS }, () => {
  before(async () => {
    etcd = await startEtcd();
    cluster = await realCluster({ etcd }, 'n1');
  });
  after(async () => {
    await cluster?.[Symbol.asyncDispose]();
    await etcd?.[Symbol.asyncDispose]();
  });

  test('a crowd follows a log of which some take nothing: the others get every byte, and memory stays bounded', async t => {
    if (!requireEtcd(t)) return;
    const [node] = cluster.nodes;
    const { command, output } = slowLines(262_144, 0.05);
    const before = await residentBytes(node!.process.pid!);
    const id = await cluster.submit({ steps: [{ run: command }] });
    const counts = { reads: 40, 'gives no credit': 6, 'stops reading': 6 };
    using crowd = await gatherCrowd(node!.address, cluster.token, id, output, counts);
    const meanwhile = await cluster.finished(await cluster.submit({}), LIMIT_MS);
    assert.equal(meanwhile.outcome, 'passed', meanwhile.message);
    await Promise.all(crowd.of('reads').map(({ whole }) => whole));
    const grown = (await residentBytes(node!.process.pid!)) - before;
    assert.ok(grown < crowdBound(counts), `memory grew by ${grown} bytes, of ${crowdBound(counts)}`);
    // Who answers no ping for 40 s is cut off; who answers and gives no credit waits, and goes on when it does.
    await eventually('those who read nothing are cut off', async () => (await sockets()) === 46 || undefined, LIMIT_MS);
    for (const follower of crowd.of('gives no credit')) {
      assert.ok(follower.at < output.length);
      follower.becomeGenerous();
    }
    await Promise.all(crowd.of('gives no credit').map(({ whole }) => whole));
    assert.equal((await cluster.finished(id)).outcome, 'passed');
  });

  test('requests without a token that is known are refused cheaply, and others are served meanwhile', async t => {
    if (!requireEtcd(t)) return;
    const [node] = cluster.nodes;
    const url = `${node!.address}/v1/tasks`;
    const pid = node!.process.pid!;
    await using bare = await startBareServer();
    await flood(bare.url, 1000, () => ({}));
    const floor = await cpuOf(bare.pid, () => flood(bare.url, 2000, () => ({})));
    const invented = () => newTokenText('admin').text;
    for (const [what, headersOf] of [
      ['no token', () => ({})],
      ['a token that is none', () => ({ authorization: 'Bearer nonsense' })],
      ['a token that somebody has invented', () => ({ authorization: `Bearer ${invented()}` })],
    ] as const) {
      await flood(url, 1000, headersOf);
      const before = await residentBytes(pid);
      const over = new AbortController();
      const served = askMeanwhile(`${node!.address}/v1/cluster`, over.signal);
      const cost = await cpuOf(pid, async () => {
        const statuses = await flood(url, 2000, headersOf);
        assert.deepEqual(
          [...statuses.keys()].filter(status => status !== 401 && status !== 429),
          [],
          what,
        );
      });
      over.abort();
      const answers = await served;
      // A busy machine may keep etcd from answering in time; who has a token is never taken for one of the others.
      assert.ok(
        answers.includes(200) && answers.every(status => status === 200 || status === 503),
        `${what}: ${answers}`,
      );
      assert.ok(cost < floor * MOST_RATIO + 100, `${what}: ${cost} ms where a bare server takes ${floor} ms`);
      const grown = (await residentBytes(pid)) - before;
      assert.ok(grown < 60e6, `${what}: memory grew by ${grown} bytes`);
    }
  });
});

async function sockets(): Promise<number> {
  const headers = { authorization: `Bearer ${cluster.token}` };
  const text = await (await fetch(`${cluster.nodes[0]!.address}/metrics`, { headers })).text();
  return Number(/^simple_ci_websocket_connections (\d+)$/m.exec(text)?.[1]);
}

async function cpuOf(pid: number, work: () => Promise<unknown>): Promise<number> {
  const before = await cpuMs(pid);
  await work();
  return (await cpuMs(pid)) - before;
}

/** What somebody with a good token is answered while it goes on, one request after another. */
async function askMeanwhile(url: string, signal: AbortSignal): Promise<number[]> {
  const statuses: number[] = [];
  const headers = { authorization: `Bearer ${cluster.token}` };
  do {
    const answer = await fetch(url, { headers });
    await answer.arrayBuffer();
    statuses.push(answer.status);
  } while (!signal.aborted);
  return statuses;
}
