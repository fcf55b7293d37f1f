import { spawn } from 'node:child_process';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import type { RealCluster, RealNode } from '../support/real-cluster.ts';
import { clientOf } from '../support/simple-ci.ts';
import { submitCommand } from './bench-log.ts';
import { type Figure, figure, percentile } from './figures.ts';
import { wallMs } from './raw-floor.ts';

const LINES = 400;
const WARM_UP = 50;
/** Prints when each line is printed, without starting a program for it or for the pause. */
const TELL_TIME = `exec {pause}<> <(:); for ((i = 0; i < ${LINES + WARM_UP}; i++)); do echo "at $EPOCHREALTIME"; read -rt 0.01 -u $pause || true; done`;

/**
 * From a task printing a line to a follower having it: one who asks the node that runs the task, and one who asks another
 * node. The floor is the same program writing into a pipe that is read here.
 */
export async function measureLatency(cluster: RealCluster, log: (text: string) => void): Promise<Figure[]> {
  log('latency: a pipe');
  const floor = await readTimes(output());
  const [own, other] = cluster.nodes;
  log('latency: the node that runs the task');
  const near = await followed(cluster, own!);
  log('latency: another node');
  const far = await followed(cluster, other!);
  return [
    figure('line → follower, p50', percentile(near, 50), 'ms', {
      floor: percentile(floor, 50),
      aim: { of: 'value', atMost: 100 },
    }),
    figure('line → follower, p99', percentile(near, 99), 'ms', { floor: percentile(floor, 99) }),
    figure('line → follower at another node, p50', percentile(far, 50), 'ms', {
      floor: percentile(floor, 50),
      aim: { of: 'value', atMost: 100 },
    }),
    figure('line → follower at another node, p99', percentile(far, 99), 'ms', { floor: percentile(floor, 99) }),
  ];
}

async function followed(cluster: RealCluster, node: RealNode): Promise<number[]> {
  const id = await submitCommand(cluster, TELL_TIME);
  await using client = clientOf(node, cluster.token);
  const events = client.log(id, { follow: true }, neverAborted);
  return await readTimes(bytesOf(events));
}

async function* bytesOf(events: ReturnType<ReturnType<typeof clientOf>['log']>): AsyncGenerator<Uint8Array> {
  for await (const event of events) if (event.kind === 'bytes') yield event.bytes;
}

function output(): AsyncIterable<Uint8Array> {
  return spawn('bash', ['-c', TELL_TIME], { stdio: ['ignore', 'pipe', 'inherit'] }).stdout;
}

/** How long after it was printed each line was here. */
async function readTimes(chunks: AsyncIterable<Uint8Array>): Promise<number[]> {
  const times: number[] = [];
  let rest = '';
  for await (const chunk of chunks) {
    const now = wallMs();
    const lines = (rest + Buffer.from(chunk).toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) times.push(now - Number(line.slice('at '.length).replace(',', '.')) * 1000);
  }
  if (times.length !== LINES + WARM_UP) throw new Error(`${times.length} lines came`);
  return times.slice(WARM_UP);
}
