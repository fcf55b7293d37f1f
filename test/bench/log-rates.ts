import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { parseS3Address } from '../../node-runtime/objects/s3-address.ts';
import { S3ObjectStore } from '../../node-runtime/objects/s3-object-store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import type { CephS3 } from '../support/ceph-server.ts';
import type { RealCluster } from '../support/real-cluster.ts';
import { clientOf } from '../support/simple-ci.ts';
import { logFile, submitCommand } from './bench-log.ts';
import { type Figure, figure, median } from './figures.ts';

const FILE_BYTES = 67_108_864;
const TIMES = 4;
const RUNS = 3;
const MIB = 1_048_576;
const IN_FLIGHT = 6;

/**
 * Megabytes a second of a task that prints as fast as it may. The floor is what any log could at best do here: the same
 * program's output read from a pipe, and each MiB of it compressed and put into the same S3, six at a time.
 */
export async function measureRates(cluster: RealCluster, s3: CephS3, log: (text: string) => void): Promise<Figure[]> {
  await using file = await logFile(FILE_BYTES);
  const command = `for i in $(seq ${TIMES}); do cat ${file.path}; done`;
  const pipe: number[] = [];
  const floor: number[] = [];
  const alone: number[] = [];
  const followed: number[] = [];
  const following: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    log(`rates, run ${run + 1} of ${RUNS}`);
    pipe.push(await pipeRate(command));
    floor.push(await pipeToS3Rate(command, s3));
    alone.push((await taskRates(cluster, command, false)).stored);
    const both = await taskRates(cluster, command, true);
    followed.push(both.stored);
    following.push(both.followed);
  }
  const floors = { floor: median(floor), aim: { of: 'value', atLeast: 100 } } as const;
  return [
    figure('stdout of a task → S3', median(alone), 'MB/s', floors),
    figure('stdout of a task → S3, with a follower', median(followed), 'MB/s', floors),
    figure('the same → its follower', median(following), 'MB/s', floors),
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

async function pipeRate(command: string): Promise<number> {
  const started = performance.now();
  let bytes = 0;
  for await (const chunk of output(command)) bytes += chunk.length;
  return bytes / 1000 / (performance.now() - started);
}

const compress = promisify(zstdCompress);
const FASTEST = { chunkSize: 262_144, params: { [constants.ZSTD_c_compressionLevel]: 1 } };

async function pipeToS3Rate(command: string, { address, credentials }: CephS3): Promise<number> {
  const parts = { address: parseS3Address(address), clock: systemClock, chance: systemChance, credentials };
  await using objects = new S3ObjectStore(parts);
  const prefix = `floor/${randomUUID()}`;
  const started = performance.now();
  const flying = new Set<Promise<void>>();
  let bytes = 0;
  let block = Buffer.allocUnsafe(MIB);
  let filled = 0;
  const store = async (full: Buffer, at: number) =>
    objects.put(`${prefix}/${at}`, await compress(full, FASTEST), { signal: neverAborted });
  for await (const chunk of output(command)) {
    for (let rest = chunk; rest.length > 0; ) {
      const taken = rest.copy(block, filled);
      rest = rest.subarray(taken);
      filled += taken;
      if (filled < MIB) continue;
      bytes += filled;
      const putting = store(block, bytes).finally(() => flying.delete(putting));
      flying.add(putting);
      block = Buffer.allocUnsafe(MIB);
      filled = 0;
      if (flying.size >= IN_FLIGHT) await Promise.race(flying);
    }
  }
  await Promise.all(flying);
  return bytes / 1000 / (performance.now() - started);
}

async function* output(command: string): AsyncGenerator<Buffer> {
  const child = spawn('bash', ['-c', command], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  yield* child.stdout as AsyncIterable<Buffer>;
  await closed;
}
