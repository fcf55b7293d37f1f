import { parseS3Address } from '../../node-runtime/objects/s3-address.ts';
import { S3ObjectStore } from '../../node-runtime/objects/s3-object-store.ts';
import { getBytes } from '../../node-runtime/objects/collect.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { parseClusterId, parseTaskId } from '../../shared/ids.ts';
import { objectKeys } from '../../shared/keyspace.ts';
import { LogManifest } from '../../shared/log-manifest.ts';
import { logPieceName } from '../../shared/log-piece-name.ts';
import type { CephS3 } from '../support/ceph-server.ts';
import type { EtcdServer } from '../support/etcd-server.ts';
import type { RealCluster } from '../support/real-cluster.ts';
import { clientOf } from '../support/simple-ci.ts';
import { logFile, submitCommand } from './bench-log.ts';
import { type Figure, figure, median } from './figures.ts';

const FILE_BYTES = 67_108_864;
const TIMES = 15;
const TAIL = 65_536;
const ROUNDS = 15;

/**
 * From asking a node that did not run the task for the last 64 KiB of a stored log of 1 GB, each time with a new client, to
 * their first byte. The floor is getting the two objects that this takes from S3: the manifest and the last piece.
 */
export async function measureOpening(
  cluster: RealCluster,
  etcd: EtcdServer,
  s3: CephS3,
  log: (text: string) => void,
): Promise<Figure[]> {
  log('storing a log of 1 GB');
  await using file = await logFile(FILE_BYTES);
  const id = await submitCommand(cluster, `for i in $(seq ${TIMES}); do cat ${file.path}; done`);
  const { fence } = await cluster.finished(id, 300_000);
  const keys = objectKeys(parseClusterId(cluster.id), await epochOf(etcd, cluster.id));
  const parts = { address: parseS3Address(s3.address), clock: systemClock, chance: systemChance };
  await using objects = new S3ObjectStore({ ...parts, credentials: s3.credentials });
  const task = parseTaskId(id);
  const opened: number[] = [];
  const floor: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    log(`opening, round ${round + 1} of ${ROUNDS}`);
    floor.push(await timeOf(() => readRaw(objects, keys.logManifest(task, fence), keys.log(task, fence))));
    opened.push(await timeOf(() => readTail(cluster, id)));
  }
  return [
    figure('opening the tail of a log of 1 GB', median(opened), 'ms', {
      floor: median(floor),
      aim: { of: 'value', atMost: 200 },
    }),
    figure('the same, the first time', opened[0]!, 'ms', { floor: floor[0]! }),
  ];
}

async function readTail(cluster: RealCluster, id: string): Promise<void> {
  await using client = clientOf(cluster.nodes[1]!, cluster.token);
  for await (const event of client.log(id, { tail: TAIL }, neverAborted)) if (event.kind === 'bytes') return;
  throw new Error('No byte came');
}

async function readRaw(objects: S3ObjectStore, manifestKey: string, prefix: string): Promise<void> {
  const manifest = LogManifest.parse(
    JSON.parse(String(await getBytes(objects, manifestKey, { signal: neverAborted }))),
  );
  const last = manifest.pieces.findLast(({ inline }) => inline === undefined)!;
  await getBytes(objects, prefix + logPieceName(last), { signal: neverAborted });
}

async function epochOf(etcd: EtcdServer, cluster: string): Promise<string> {
  const key = Buffer.from(`${cluster}/cluster`).toString('base64');
  const { kvs } = (await etcd.request('/v3/kv/range', { key })) as { kvs: { value: string }[] };
  return (JSON.parse(Buffer.from(kvs[0]!.value, 'base64').toString()) as { epoch: string }).epoch;
}

async function timeOf(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}
