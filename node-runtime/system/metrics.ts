import type { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Figures of one node, read at /metrics. Times are in seconds, as Prometheus has them. */
export interface Metrics {
  readonly registry: Registry;
  /** Attempts that this node has begun. */
  readonly tasksClaimed: Counter;
  /** Tasks that this node has completed, by outcome. */
  readonly tasksCompleted: Counter<'outcome'>;
  /** Attempts that this node gave up, by why. */
  readonly attemptsEnded: Counter<'end'>;
  /** Transactions spent on competing for tasks, won or lost: divided by tasks claimed, the price of a claim. */
  readonly claimTransactions: Counter<'result'>;
  /** From a task's submission until this node claimed it, by the clocks of two nodes. */
  readonly claimLatency: Histogram;
  readonly taskDuration: Histogram<'outcome'>;
  readonly running: Gauge;
  readonly logBytes: Counter;
  readonly requests: Histogram<'route' | 'status'>;
  readonly sockets: Gauge;
  readonly subscriptions: Gauge<'topic'>;
  /** Log bytes sent to followers. */
  readonly followedBytes: Counter;
  /** Calls to the coordination store: etcd, or the file that takes its place. */
  readonly storeCalls: Histogram<'operation' | 'result'>;
  /** Calls to the object store, what was tried again in them included. */
  readonly objectCalls: Histogram<'operation' | 'result'>;
}

const CALL_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const WAIT_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 1800];
const TASK_SECONDS = [0.1, 1, 5, 15, 60, 180, 600, 1800, 3600, 14_400];

/** What is asked of the node when its metrics are read. */
export interface MetricsSource {
  readonly version: string;
  readonly node: string;
  readonly slots: { readonly total: number; readonly used: number };
  /** Milliseconds since the last renewal of the lease that the store has acknowledged; undefined without a session. */
  readonly leaseAgeMs: () => number | undefined;
  /** For how long the node still claims nothing, as attempts have failed by its own fault. */
  readonly claimPauseMs: () => number;
  /** For how long the oldest piece of a log has been on its way to the object store. */
  readonly logLagMs: () => number;
  /** Slots that each pool is asked for; rejects while that is not known. */
  readonly demand: () => Promise<ReadonlyMap<string, number>>;
}

export function createMetrics(about: MetricsSource): Metrics {
  const registry = new Registry();
  addProcess(registry, about);
  addDemand(registry, about);
  const add = <T>(make: new (options: never) => T, name: string, help: string, more: object = {}): T =>
    new make({ name: `simple_ci_${name}`, help, registers: [registry], ...more } as never);
  return {
    registry,
    tasksClaimed: add(Counter, 'tasks_claimed_total', 'Attempts begun by this node'),
    tasksCompleted: add(Counter<'outcome'>, 'tasks_completed_total', 'Tasks completed by this node', {
      labelNames: ['outcome'],
    }),
    attemptsEnded: add(Counter<'end'>, 'attempts_given_up_total', 'Attempts given up by this node', {
      labelNames: ['end'],
    }),
    claimTransactions: add(Counter<'result'>, 'claim_transactions_total', 'Transactions spent on claims', {
      labelNames: ['result'],
    }),
    claimLatency: add(Histogram, 'claim_latency_seconds', 'From submission to claim', { buckets: WAIT_SECONDS }),
    taskDuration: add(Histogram<'outcome'>, 'task_duration_seconds', 'From claim to completion', {
      labelNames: ['outcome'],
      buckets: TASK_SECONDS,
    }),
    running: add(Gauge, 'running_tasks', 'Tasks running on this node'),
    logBytes: add(Counter, 'log_bytes_total', 'Bytes printed by tasks that this node has completed'),
    requests: add(Histogram<'route' | 'status'>, 'http_request_seconds', 'API requests', {
      labelNames: ['route', 'status'],
      buckets: CALL_SECONDS,
    }),
    sockets: add(Gauge, 'websocket_connections', 'Open WebSockets'),
    subscriptions: add(Gauge<'topic'>, 'websocket_subscriptions', 'Subscriptions on open WebSockets', {
      labelNames: ['topic'],
    }),
    followedBytes: add(Counter, 'followed_log_bytes_total', 'Log bytes sent to followers'),
    storeCalls: add(Histogram<'operation' | 'result'>, 'store_call_seconds', 'Calls to etcd', {
      labelNames: ['operation', 'result'],
      buckets: CALL_SECONDS,
    }),
    objectCalls: add(
      Histogram<'operation' | 'result'>,
      'object_call_seconds',
      'Calls to S3, with what was tried again',
      {
        labelNames: ['operation', 'result'],
        buckets: CALL_SECONDS,
      },
    ),
  };
}

/** What is worth knowing of the process itself, read when asked and not before: nothing of it runs in between. */
function addProcess(registry: Registry, source: MetricsSource): void {
  const { version, node, slots, leaseAgeMs, claimPauseMs, logLagMs } = source;
  const registers = [registry];
  new Gauge({ name: 'simple_ci_info', help: 'What this node is', labelNames: ['version', 'node'], registers }).set(
    { version, node },
    1,
  );
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge('simple_ci_slots', 'Slots of this node', () => slots.total);
  gauge('simple_ci_slots_used', 'Slots taken by running tasks', () => slots.used);
  gauge(
    'simple_ci_lease_age_seconds',
    'Since the last acknowledged renewal',
    () => (leaseAgeMs() ?? Number.NaN) / 1000,
  );
  gauge(
    'simple_ci_claim_pause_seconds',
    'For how long the node still claims nothing, as attempts failed by its own fault: 0 when it is well',
    () => claimPauseMs() / 1000,
  );
  gauge(
    'simple_ci_log_lag_seconds',
    'For how long the oldest piece of a log has been on its way to S3: what would be lost if the node died',
    () => logLagMs() / 1000,
  );
  gauge('process_start_time_seconds', 'When the process started', () => Math.round(performance.timeOrigin / 1000));
  gauge('process_resident_memory_bytes', 'Memory of the process', () => process.memoryUsage.rss());
  gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use', () => process.memoryUsage().heapUsed);
  gauge(
    'process_cpu_seconds_total',
    'CPU time used',
    () => (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
  );
  gauge(
    'nodejs_eventloop_utilization',
    'Part of its life that the event loop was busy',
    () => performance.eventLoopUtilization().utilization,
  );
  addEventLoopDelay(registry);
}

/** By how much a timer of 20 ms comes late. Begins with the first reading: a node that nobody asks does without the timer. */
function addEventLoopDelay(registry: Registry): void {
  let delays: ReturnType<typeof monitorEventLoopDelay> | undefined;
  new Gauge({
    name: 'nodejs_eventloop_delay_seconds',
    help: 'By how much the event loop was late since it was last asked',
    labelNames: ['quantile'],
    registers: [registry],
    async collect() {
      if (delays === undefined) {
        const { monitorEventLoopDelay } = await import('node:perf_hooks');
        delays ??= monitorEventLoopDelay({ resolution: 20 });
        delays.enable();
      }
      for (const [quantile, nanoseconds] of [
        ['0.5', delays.percentile(50)],
        ['0.99', delays.percentile(99)],
        ['1', delays.max],
      ] as const)
        this.set({ quantile }, delays.count === 0 ? 0 : nanoseconds / 1e9);
      delays.reset();
    },
  });
}

/** Not known is not 0: there is no sample then. */
function addDemand(registry: Registry, { demand }: MetricsSource): void {
  new Gauge({
    name: 'simple_ci_demand',
    help: 'Slots that a pool of nodes is asked for, running and waiting tasks together: of the cluster, so the same at every node; absent while it is not known',
    labelNames: ['pool'],
    registers: [registry],
    async collect() {
      const pools = await demand().catch(() => new Map<string, number>());
      this.reset();
      for (const [pool, slots] of pools) this.set({ pool }, slots);
    },
  });
}
