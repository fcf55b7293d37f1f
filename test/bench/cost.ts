import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import type { TaskSpec } from '../../shared/task.ts';
import { type Competitor, compete } from '../support/competitor.ts';
import { MemoryObjectStore, type ObjectOperation } from '../support/memory-object-store.ts';
import { eventually, submit } from '../support/test-tasks.ts';
import { type BenchCluster, benchCluster } from './bench-cluster.ts';
import { realExecutor } from './bench-executor.ts';
import { type Bench, type Figure, figure } from './figures.ts';

const SHORT_TASKS = 100;
const PRINTING_TASKS = 8;
const PRINTING_SECONDS = 20;
const IDLE_NODES = 20;
const IDLE_SECONDS = 30;

/**
 * What tasks and nodes cost etcd and S3, counted by a real etcd itself and at the object store: not how fast anything is, so a busy
 * machine changes nothing. The page about sizes is computed from these.
 */
export const bench: Bench = async log => {
  log(`${SHORT_TASKS} short tasks`);
  const short = await shortTasks();
  log(`${PRINTING_TASKS} tasks that print for ${PRINTING_SECONDS} s`);
  const printing = await printingTasks();
  log(`${IDLE_NODES} idle nodes for ${IDLE_SECONDS} s`);
  return [...short, ...printing, ...(await idleNodes())];
};

async function shortTasks(): Promise<Figure[]> {
  await using setting = await openSetting(1);
  const before = await setting.etcd();
  await setting.run(SHORT_TASKS, { steps: [{ run: 'echo done' }] });
  const after = await setting.etcd();
  const each = (value: number) => value / SHORT_TASKS;
  return [
    figure('a short task: proposals in etcd', each(after.proposals - before.proposals), 'proposals'),
    figure('a short task: syncs of etcd’s disk', each(after.syncs - before.syncs), 'syncs'),
    figure('a finished task in etcd', each(after.liveBytes - before.liveBytes), 'bytes'),
    figure('a short task: puts into S3', each(setting.count('put')), 'requests'),
    figure('a short task: other requests to S3', each(setting.count('get', 'head', 'list', 'delete')), 'requests'),
  ];
}

async function printingTasks(): Promise<Figure[]> {
  await using setting = await openSetting(PRINTING_TASKS);
  const run = `end=$(($(date +%s) + ${PRINTING_SECONDS})); while [ $(date +%s) -lt $end ]; do echo a line now and then; sleep 0.1; done`;
  await setting.run(PRINTING_TASKS, { steps: [{ run }] });
  const perSecond = (value: number) => value / PRINTING_TASKS / PRINTING_SECONDS;
  return [
    figure('a second of printing: puts into S3', perSecond(setting.count('put')), 'requests'),
    figure(
      'a second of printing: other requests to S3',
      perSecond(setting.count('get', 'head', 'list', 'delete')),
      'requests',
    ),
  ];
}

async function idleNodes(): Promise<Figure[]> {
  await using etcd = await benchCluster();
  const members: Competitor[] = [];
  for (let i = 0; i < IDLE_NODES; i++) members.push(await compete(await etcd.join(), `n${i}`));
  const before = await counters(etcd);
  await new Promise(resolve => setTimeout(resolve, IDLE_SECONDS * 1000));
  const after = await counters(etcd);
  await Promise.all(members.map(member => member[Symbol.asyncDispose]()));
  const perMinute = (value: number) => (value / IDLE_NODES / IDLE_SECONDS) * 60;
  return [
    figure('a minute of an idle node: proposals in etcd', perMinute(after.proposals - before.proposals), 'proposals'),
    figure('a minute of an idle node: renewals of its lease', perMinute(after.renewals - before.renewals), 'requests'),
  ];
}

interface Setting extends AsyncDisposable {
  run(tasks: number, spec: Partial<TaskSpec>): Promise<void>;
  count(...operations: ObjectOperation[]): number;
  etcd(): Promise<Counters>;
}

/** One node with real processes, on a real etcd, with objects that are counted. */
async function openSetting(slots: number): Promise<Setting> {
  const etcd = await benchCluster();
  const counts = new Map<ObjectOperation, number>();
  const objects = new MemoryObjectStore({
    carry: async (operation, _key, effect) => {
      counts.set(operation, (counts.get(operation) ?? 0) + 1);
      return effect();
    },
  });
  const cluster: Cluster = { ...(await etcd.join()), objects };
  const real = await realExecutor(cluster);
  const { executor, onRenewed } = real;
  const node = await compete(cluster, 'n1', { slots, executor, onRenewed });
  return {
    run: async (tasks, spec) => {
      for (let i = 0; i < tasks; i++) await submit(cluster, spec);
      await eventually('all tasks have ended', () => node.endings.length === tasks || undefined, 300_000);
    },
    count: (...operations) => operations.reduce((sum, operation) => sum + (counts.get(operation) ?? 0), 0),
    etcd: () => counters(etcd),
    [Symbol.asyncDispose]: async () => {
      await node[Symbol.asyncDispose]();
      await real[Symbol.asyncDispose]();
      await etcd[Symbol.asyncDispose]();
    },
  };
}

interface Counters {
  readonly proposals: number;
  readonly syncs: number;
  readonly renewals: number;
  /** Of values and keys that are there now, not of the file. */
  readonly liveBytes: number;
}

async function counters({ etcd, connect }: BenchCluster): Promise<Counters> {
  const text = await (await fetch(`${etcd.endpoints[0]}/metrics`, { signal: AbortSignal.timeout(10_000) })).text();
  const read = (name: string) =>
    Number(new RegExp(`^${name}(?:\\{[^}]*\\})? ([\\d.e+-]+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  const store = await connect();
  const { records } = await store.range(
    { prefix: 'test/', limit: 10_000 },
    { signal: AbortSignal.timeout(10_000), timeoutMs: 10_000 },
  );
  return {
    proposals: read('etcd_server_proposals_applied_total'),
    syncs: read('etcd_disk_wal_fsync_duration_seconds_count'),
    renewals: read('etcd_debugging_lease_renewed_total'),
    liveBytes: records.reduce((sum, { key, value }) => sum + key.length + value.length, 0),
  };
}
