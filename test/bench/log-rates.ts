import { neverAborted } from '../../node-runtime/system/clock.ts';
import type { CephS3 } from '../support/ceph-server.ts';
import type { RealCluster } from '../support/real-cluster.ts';
import { clientOf } from '../support/simple-ci.ts';
import { logFile, submitCommand } from './bench-log.ts';
import { type Figure, figure, median } from './figures.ts';
import { followedRates, pipeRate, storedRate } from './log-floor.ts';

const FILE_BYTES = 67_108_864;
const TIMES = 4;
const RUNS = 3;

/**
 * Megabytes a second of a task that prints as fast as it may. The floor is what any log could at best do here: the same
 * program's output read from a pipe, and each MiB of it compressed and put into the same S3, six at a time. Where there is a
 * follower, the floor sends what it reads through a WebSocket as well, as it is, from a process like the node to one like the
 * follower: they have the cores to share that node and follower have.
 */
export async function measureRates(cluster: RealCluster, s3: CephS3, log: (text: string) => void): Promise<Figure[]> {
  await using file = await logFile(FILE_BYTES);
  const command = `for i in $(seq ${TIMES}); do cat ${file.path}; done`;
  const pipe: number[] = [];
  const floor: number[] = [];
  const floors: Awaited<ReturnType<typeof followedRates>>[] = [];
  const alone: number[] = [];
  const rates: Awaited<ReturnType<typeof taskRates>>[] = [];
  for (let run = 0; run < RUNS; run++) {
    log(`rates, run ${run + 1} of ${RUNS}`);
    pipe.push(await pipeRate(command));
    floor.push(await storedRate(command, s3));
    alone.push((await taskRates(cluster, command, false)).stored);
    floors.push(await followedRates(command, s3));
    rates.push(await taskRates(cluster, command, true));
  }
  const aim = { of: 'value', atLeast: 100 } as const;
  return [
    figure('stdout of a task → S3', median(alone), 'MB/s', { floor: median(floor), aim }),
    figure('stdout of a task → S3, with a follower', median(rates.map(({ stored }) => stored)), 'MB/s', {
      floor: median(floors.map(({ stored }) => stored)),
      aim,
    }),
    figure('the same → its follower', median(rates.map(({ followed }) => followed)), 'MB/s', {
      floor: median(floors.map(({ followed }) => followed)),
      aim,
    }),
    figure('a pipe alone, for comparison', median(pipe), 'MB/s'),
  ];
}

/** From the start of the task's step to its log being whole in S3, and to its follower having all. */
async function taskRates(cluster: RealCluster, command: string, isFollowed: boolean) {
  const id = await submitCommand(cluster, command);
  const following = isFollowed ? follow(cluster, id) : undefined;
  const { times, log } = await cluster.finished(id, 300_000);
  const seconds = (times.finished - times.started!) / 1000;
  if (log.bytes !== FILE_BYTES * TIMES) throw new Error(`The log has ${log.bytes} bytes`);
  const end = await following;
  if (end !== undefined && end.bytes !== log.bytes) throw new Error(`The follower had ${end.bytes} of ${log.bytes}`);
  return {
    stored: log.bytes / 1e6 / seconds,
    followed: end === undefined ? Number.NaN : log.bytes / 1e6 / ((end.at - times.started!) / 1000),
  };
}

async function follow(cluster: RealCluster, id: string): Promise<{ bytes: number; at: number }> {
  await using client = clientOf(cluster.nodes[0]!, cluster.token);
  let bytes = 0;
  let at = 0;
  for await (const event of client.log(id, { follow: true }, neverAborted)) {
    if (event.kind !== 'bytes') continue;
    bytes += event.bytes.length;
    at = Date.now();
  }
  return { bytes, at };
}
