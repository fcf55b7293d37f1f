import { answerMetrics } from '../../node-runtime/kubernetes/external-metrics.ts';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { listCompleted } from '../../node-runtime/queue/list-tasks.ts';
import { readDemand } from '../../node-runtime/queue/read-demand.ts';
import { readTaskState } from '../../node-runtime/queue/records.ts';
import { neverAborted as signal } from '../../node-runtime/system/clock.ts';
import type { TaskId } from '../../shared/ids.ts';
import { build } from '../../scripts/build.mjs';
import { startEtcd } from '../support/etcd-server.ts';
import { type ScaledCluster, scaledCluster, SLOTS } from '../support/scaled-cluster.ts';
import { SimulatedHpa } from '../support/simulated-hpa.ts';
import { eventually, submit } from '../support/test-tasks.ts';
import { type Bench, type Figure, figure } from './figures.ts';

/** A second here stands for so many. Pods are processes, which start as fast as they do. */
const SPEED = 20;
const SYNC_MS = 15_000 / SPEED;
const STABILIZATION_MS = 300_000 / SPEED;
const MAX = 5;
/** Tasks by their seconds: two bursts, the first more than all pods hold, and two tasks that outlast it. */
const FIRST = [...Array.from({ length: 24 }, (_, at) => 2 + (at % 3)), 20, 20];
const SECOND = Array.from({ length: 6 }, (_, at) => 2 + (at % 3));
/** By then the first burst is over, and there are fewer pods, or soon would be. */
const SECOND_AFTER_MS = 25_000;
const SHORT_SECONDS = 5;
const SAMPLE_MS = 250;
const LIMIT_MS = 90_000;

/**
 * Two bursts of tasks on pods that are real processes, scaled by a simulated HorizontalPodAutoscaler and by the nodes themselves;
 * against an oracle, which has all pods from the start.
 */
export const bench: Bench = async log => {
  await build();
  await using etcd = await startEtcd();
  log(`all ${MAX} pods from the start`);
  const oracle = await measureOracle(await scaledCluster(etcd, { replicas: MAX }));
  log('a HorizontalPodAutoscaler');
  const external = await measure(await scaledCluster(etcd), driveHpa);
  log('nodes scale themselves');
  const args = ['--scale-deployment', 'simple-ci', '--scale-max', String(MAX)];
  const within = ['--scale-in-after', `${STABILIZATION_MS / 1000}s`];
  const self = await measure(await scaledCluster(etcd, { args: [...args, ...within] }), async () => undefined);
  return [...figuresOf('external', external, oracle), ...figuresOf('self', self, oracle)];
};

interface Drained {
  /** From the submission of each burst until its short tasks are done, together. */
  readonly seconds: number;
}

interface Measured extends Drained {
  readonly told: number;
  readonly killed: number;
  readonly restarted: number;
  readonly most: number;
  /** As many as the largest demand asked for. */
  readonly mostWanted: number;
  readonly podSeconds: number;
  readonly wantedSeconds: number;
  readonly final: number;
}

async function measureOracle(scaled: ScaledCluster): Promise<Drained> {
  await using _ = scaled;
  const first = await burst(scaled.cluster, FIRST);
  const second = await burst(scaled.cluster, SECOND);
  return { seconds: first.seconds + second.seconds };
}

async function measure(
  scaled: ScaledCluster,
  drive: (scaled: ScaledCluster, stop: AbortSignal) => Promise<void>,
): Promise<Measured> {
  await using _ = scaled;
  const { cluster, deployment } = scaled;
  const stop = new AbortController();
  const driving = drive(scaled, stop.signal);
  const sampling = sample(scaled, stop.signal);
  const began = performance.now();
  try {
    const first = await burst(cluster, FIRST);
    await pause(Math.max(0, SECOND_AFTER_MS - (performance.now() - began)));
    const second = await burst(cluster, SECOND);
    const ids = [...first.ids, ...second.ids];
    await allFinished(cluster, ids);
    const states = await Promise.all(ids.map(id => readTaskState(cluster, id, signal)));
    await eventually('only the least is left', () => scaled.replicas() === 1 || undefined, LIMIT_MS).catch(
      () => undefined,
    );
    stop.abort();
    return {
      seconds: first.seconds + second.seconds,
      told: deployment.removals.filter(({ wasBusy }) => wasBusy).length,
      killed: deployment.removals.filter(({ wasKilled }) => wasKilled).length,
      restarted: states.filter(({ completed }) => completed?.value.past.length !== 0).length,
      most: deployment.most,
      final: scaled.replicas(),
      ...(await sampling),
    };
  } finally {
    stop.abort();
    await Promise.all([driving, sampling]);
  }
}

/** Submits tasks of so many seconds, and waits for the short ones. */
async function burst(cluster: Cluster, tasks: readonly number[]): Promise<{ ids: TaskId[]; seconds: number }> {
  const began = performance.now();
  const ids = await Promise.all(tasks.map(seconds => submit(cluster, { steps: [{ run: `sleep ${seconds}` }] })));
  await allFinished(
    cluster,
    ids.filter((_, at) => tasks[at]! < SHORT_SECONDS),
  );
  return { ids, seconds: (performance.now() - began) / 1000 };
}

/** One listing for all: what looks must not take the cores from what is looked at. */
function allFinished(cluster: Cluster, ids: readonly TaskId[]): Promise<boolean> {
  const look = async () => {
    const done = new Set((await listCompleted(cluster, signal)).map(({ id }) => id));
    if (ids.every(id => done.has(id))) return true;
    await pause(SAMPLE_MS);
    return undefined;
  };
  // An etcd that is late on a busy machine is asked again.
  return eventually(`${ids.length} tasks are finished`, () => look().catch(() => undefined), LIMIT_MS);
}

/** The autoscaler asks what the metrics adapter would answer. */
async function driveHpa(
  { cluster, kubernetes, deployment, replicas }: ScaledCluster,
  stop: AbortSignal,
): Promise<void> {
  const hpa = new SimulatedHpa({
    ...{ min: 1, max: MAX, averageValue: SLOTS },
    stabilizationMs: STABILIZATION_MS,
    periodMs: SYNC_MS,
  });
  const source = { demand: () => readDemand(cluster, signal), cluster: '', namespaces: ['ci'], now: Date.now };
  const path = '/apis/external.metrics.k8s.io/v1beta1/namespaces/ci/simple_ci_demand?labelSelector=pool%3Ddefault';
  while (!stop.aborted) {
    await pause(SYNC_MS);
    const { status, body } = await answerMetrics(source, 'GET', path);
    const { items } = body as { items?: readonly { value: string }[] };
    const values = status === 200 ? items?.map(({ value }) => Number(value)) : undefined;
    const next = hpa.sync(performance.now(), deployment.pods.length, values);
    if (next !== replicas() && !stop.aborted)
      kubernetes.patch('deployments', 'simple-ci', { spec: { replicas: next } });
  }
}

async function sample({ cluster, replicas }: ScaledCluster, stop: AbortSignal) {
  let [podSeconds, wantedSeconds, mostWanted] = [0, 0, 0];
  for (let last = performance.now(); !stop.aborted; ) {
    await pause(SAMPLE_MS);
    const now = performance.now();
    const demand = await readDemand(cluster, signal).catch(() => undefined);
    const wanted = Math.min(MAX, Math.max(1, Math.ceil((demand?.pools.default?.demand ?? 0) / SLOTS)));
    podSeconds += (replicas() * (now - last)) / 1000;
    wantedSeconds += (wanted * (now - last)) / 1000;
    mostWanted = Math.max(mostWanted, wanted);
    last = now;
  }
  return { podSeconds, wantedSeconds, mostWanted };
}

function figuresOf(mode: string, measured: Measured, oracle: Drained): Figure[] {
  const none = { aim: { of: 'value', atMost: 0 } } as const;
  return [
    figure(`${mode}: until both bursts are done`, measured.seconds, 's', { floor: oracle.seconds }),
    figure(`${mode}: pods told to stop while busy`, measured.told, 'pods', mode === 'self' ? none : {}),
    figure(`${mode}: pods killed while busy`, measured.killed, 'pods', none),
    figure(`${mode}: tasks started again`, measured.restarted, 'tasks', none),
    figure(`${mode}: pods above what was ever asked for`, measured.most - measured.mostWanted, 'pods', none),
    figure(`${mode}: pods left at the end`, measured.final, 'pods', { floor: 1 }),
    figure(`${mode}: time of pods`, measured.podSeconds, 'pod seconds', { floor: measured.wantedSeconds }),
  ];
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
