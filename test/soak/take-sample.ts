import { lstat, readdir } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { openBucket } from '../faults/bucket.ts';
import { findSupervisor, findTaskProcesses } from '../faults/processes.ts';
import { lookAtProcess } from './look-at-process.ts';
import type { Resting, Sample } from './sample.ts';
import type { Stage } from './stage.ts';

/** What is known without looking. */
type Known = Pick<Sample, 'at' | 'phase' | 'round' | 'actions' | 'tasks'>;

export async function takeSample(stage: Stage, known: Known, signal: AbortSignal): Promise<Sample> {
  const isResting = known.phase === 'rest';
  const node = stage.node.process.pid!;
  const supervisor = await findSupervisor(node);
  if (supervisor === undefined) throw new Error('The node has no supervisor');
  const look = (pid: number, role: string) =>
    lookAtProcess(pid, join(stage.probes, `${role}.jsonl`), isResting, signal);
  const cache = join(stage.data, 'cache');
  const files = await listTree(stage.data);
  const cached = files.filter(({ path }) => path.startsWith(cache));
  return {
    ...known,
    machineLoad: loadavg()[0]!,
    node: await look(node, 'node'),
    supervisor: await look(supervisor, 'supervisor'),
    etcd: await sizeOfEtcd(stage),
    sandboxes: await countSandboxes(stage),
    files: files.length - cached.length - files.filter(({ path }) => path.includes('/pipes/')).length,
    cacheFiles: cached.length,
    cacheBytes: cached.reduce((sum, { bytes }) => sum + bytes, 0),
    ...(isResting && { resting: await lookAtRest(stage, signal) }),
  };
}

async function lookAtRest(stage: Stage, signal: AbortSignal): Promise<Resting> {
  const answer = await fetch(`${stage.node.address}/metrics`, {
    headers: { authorization: `Bearer ${stage.token}` },
    signal,
  });
  const metrics = await answer.text();
  const sum = (name: string) =>
    [...metrics.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'))].reduce(
      (all, [, one]) => all + Number(one),
      0,
    );
  using bucket = openBucket(stage.s3);
  return {
    taskProcesses: (await findTaskProcesses(stage.cluster)).length,
    webSockets: sum('simple_ci_websocket_connections'),
    subscriptions: sum('simple_ci_websocket_subscriptions'),
    objects: (await bucket.list(signal)).length,
  };
}

async function sizeOfEtcd({ etcd }: Stage): Promise<Sample['etcd']> {
  const { dbSize, dbSizeInUse } = await etcd.request('/v3/maintenance/status', {});
  return { bytes: Number(dbSize), bytesInUse: Number(dbSizeInUse) };
}

/** Beside the two folders that the supervisor has for itself. */
async function countSandboxes({ data }: Stage): Promise<number> {
  const root = join(data, 'sandboxes', 'n1');
  const owners = await readdir(root);
  const all = await Promise.all(owners.map(owner => readdir(join(root, owner))));
  return all.flat().filter(name => name !== 'pipes' && name !== 'system').length;
}

interface Found {
  readonly path: string;
  readonly bytes: number;
}

/** All that is below a folder. What goes away while it is looked at is left out. */
async function listTree(folder: string): Promise<Found[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const found = await Promise.all(
    entries.map(async entry => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return [{ path, bytes: 0 }, ...(await listTree(path))];
      const info = await lstat(path).catch(() => undefined);
      return info ? [{ path, bytes: info.size }] : [];
    }),
  );
  return found.flat();
}
