import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openBucket } from './bucket.ts';
import { checkExecutions, type ExecutionStory } from './check-executions.ts';
import { checkStored, type StoredStory } from './check-stored.ts';
import { checkTape, type TapeStory, type Violation } from './check-tape.ts';
import { Draw } from './draw.ts';
import { NEMESES } from './nemeses.ts';
import type { Nemesis } from './nemesis.ts';
import { findTaskProcesses } from './processes.ts';
import { Rig } from './rig.ts';
import { type Fault, formatFault, planFaults, TRACKS } from './schedule.ts';
import { type Recovery, recover } from './recovery.ts';
import { type Submission, Workload } from './workload.ts';

export interface ChaosOptions {
  readonly seed: string;
  /** How long faults go on, in milliseconds. */
  readonly durationMs: number;
  readonly nodes: number;
  readonly tasksPerSecond: number;
  /** Default: all. */
  readonly nemeses?: readonly Nemesis[];
  /** The bundle that is put to the test. Default: this checkout's. */
  readonly program?: string;
  readonly log: (text: string) => void;
}

/** What a run has brought to light. */
export interface ChaosReport {
  readonly options: Omit<ChaosOptions, 'log' | 'nemeses'>;
  readonly schedule: readonly Fault[];
  readonly violations: readonly Violation[];
  readonly submissions: readonly Submission[];
  readonly recoveries: readonly Recovery[];
  readonly tape: TapeStory;
  readonly executions: ExecutionStory & { readonly count: number };
  readonly stored: StoredStory;
  readonly rig: Pick<Rig, 'deaths'>;
  /** How long it took until the queue was empty when faults and submissions had ended, in milliseconds. */
  readonly convergedMs: number;
  /** Where schedule, tape and side files lie, if something was broken. */
  readonly evidence: string | undefined;
}

const TTL_MS = 30_000;
/** All work must be done so long after the last fault: the TTL, three times the longest task, and a minute. */
const CONVERGE_MS = TTL_MS + 3 * 60_000 + 60_000;
/** How long nothing may be written when there is nothing to do. */
const IDLE_MS = 10_000;
const CHECK_MS = 15 * 60_000;

/**
 * A cluster of real processes under load and under faults, then without faults until all is done, then without anything to do;
 * and then everything that was recorded is held against what is promised.
 */
export async function runChaos(options: ChaosOptions, signal: AbortSignal): Promise<ChaosReport> {
  const { seed, durationMs, log } = options;
  const nemeses = (options.nemeses ?? NEMESES).filter(({ whyNot }) => whyNot?.() === undefined);
  const schedule = planFaults(seed, durationMs, nemeses);
  log(`Seed ${seed}: ${schedule.length} faults in ${durationMs / 1000} s on ${options.nodes} nodes`);
  for (const fault of schedule) log(formatFault(fault));
  const folder = await mkdtemp(join(tmpdir(), 'simple-ci-chaos-'));
  let report: ChaosReport | undefined;
  try {
    await using rig = await Rig.start({ nodes: options.nodes, folder, program: options.program, log });
    report = await runOn(rig, { ...options, nemeses }, schedule, signal);
    if (report.evidence) await keepEvidence(folder, report, rig);
    return report;
  } finally {
    // A secret key and disks are no evidence.
    for (const name of ['secrets-key', 'disks']) await rm(join(folder, name), { recursive: true, force: true });
    if (!report?.evidence) await rm(folder, { recursive: true, force: true });
  }
}

async function runOn(
  rig: Rig,
  options: ChaosOptions & { nemeses: readonly Nemesis[] },
  schedule: readonly Fault[],
  signal: AbortSignal,
): Promise<ChaosReport> {
  const { log } = options;
  const workload = new Workload({
    api: rig.api,
    draw: new Draw(`${options.seed}/load`),
    witnessPort: rig.witness.port,
    tasksPerSecond: options.tasksPerSecond,
    patienceMs: 120_000,
    claimed: (id, ended) => untilClaimed(rig, id, ended),
  });
  const recoveries: Recovery[] = [];
  const loadEnds = new AbortController();
  const load = workload.run(AbortSignal.any([signal, loadEnds.signal]));
  await unleash(rig, workload, schedule, options.nemeses, recoveries, log, signal);
  log('All faults are healed; no new work from now on');
  const healedAt = performance.now();
  loadEnds.abort();
  await load;
  const ids = workload.submissions.filter(({ acknowledgedAt }) => acknowledgedAt).map(({ id }) => id);
  await untilCompleted(rig, ids, CONVERGE_MS, signal);
  const convergedMs = performance.now() - healedAt;
  await rig.settled();
  log(`${ids.length} tasks are done; watching the idle cluster`);
  const quietFrom = await idle(rig, signal);
  log('Checking the tape, every execution, every log and every object');
  return await check(rig, workload, { options, schedule, recoveries, convergedMs, quietFrom, ids }, signal);
}

/** All tracks at once, each fault after the other. */
async function unleash(
  rig: Rig,
  workload: Workload,
  schedule: readonly Fault[],
  nemeses: readonly Nemesis[],
  recoveries: Recovery[],
  log: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = performance.now();
  const byName = new Map(nemeses.map(nemesis => [nemesis.name, nemesis]));
  await Promise.all(
    TRACKS.map(async track => {
      for (const fault of schedule.filter(each => each.track === track)) {
        await sleep(Math.max(0, startedAt + fault.at - performance.now()), undefined, { signal });
        log(`+ ${formatFault(fault)}`);
        recoveries.push(await strike(rig, workload, byName.get(fault.nemesis)!, fault, signal));
        log(`- ${fault.nemesis}`);
      }
    }),
  );
}

async function strike(rig: Rig, workload: Workload, nemesis: Nemesis, fault: Fault, signal: AbortSignal) {
  rig.active.add(nemesis.name);
  const begunAt = performance.now();
  const heal = await nemesis.inject(rig, fault.pick, signal);
  await sleep(Math.max(0, begunAt + fault.lastsMs - performance.now()), undefined, { signal });
  await heal(signal);
  rig.active.delete(nemesis.name);
  return recover(rig, workload, nemesis.name, signal);
}

async function untilClaimed({ tape, cluster }: Rig, id: string, signal: AbortSignal): Promise<void> {
  const keys = new Set([`${cluster}/tasks/${id}.lock`, `${cluster}/completed/${id}`]);
  for (let seen = 0; ; ) {
    for (; seen < tape.events.length; seen++) if (keys.has(tape.events[seen]!.key)) return;
    signal.throwIfAborted();
    await tape.changed(signal);
  }
}

/** Or until the time is over: what is missing then, the tape's check tells. */
async function untilCompleted({ tape, cluster }: Rig, ids: readonly string[], limitMs: number, signal: AbortSignal) {
  const missing = new Set(ids.map(id => `${cluster}/completed/${id}`));
  const ended = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
  for (let seen = 0; missing.size > 0 && !ended.aborted; ) {
    for (; seen < tape.events.length; seen++) missing.delete(tape.events[seen]!.key);
    if (missing.size > 0) await tape.changed(ended);
  }
  signal.throwIfAborted();
}

/** The revision from which on nothing should be written; resolves when that was watched for a while. */
async function idle({ tape }: Rig, signal: AbortSignal): Promise<number> {
  await sleep(2000, undefined, { signal }); // The last locks and members that were on their way out.
  const { head } = tape;
  await sleep(IDLE_MS, undefined, { signal });
  return head;
}

interface Course {
  readonly options: ChaosOptions;
  readonly schedule: readonly Fault[];
  readonly recoveries: readonly Recovery[];
  readonly convergedMs: number;
  readonly quietFrom: number;
  readonly ids: readonly string[];
}

async function check(rig: Rig, workload: Workload, course: Course, signal: AbortSignal): Promise<ChaosReport> {
  const { options, schedule, recoveries, convergedMs, quietFrom, ids } = course;
  const { log: _, nemeses: __, ...plain } = options;
  const events = [...rig.tape.events];
  const leaderChanges = schedule.filter(({ track }) => track === 'etcd').length;
  const tape = checkTape(events, {
    root: `${rig.cluster}/`,
    acknowledged: ids,
    lockGraceMs: TTL_MS * (1 + leaderChanges),
    quietFrom,
    torn: rig.tape.torn,
  });
  const { executions } = rig.witness;
  const { claims, completed } = tape;
  const ran = checkExecutions({ executions, claims, completed, blackouts: rig.blackouts });
  using bucket = openBucket(rig.s3);
  const { submissions } = workload;
  const { api, canaries } = rig;
  const stored = await checkStored(
    { api, bucket, submissions, executions, claims, completed, canaries, events },
    AbortSignal.any([signal, AbortSignal.timeout(CHECK_MS)]),
  );
  for (const { pid, task } of await findTaskProcesses(rig.cluster))
    rig.report('I11', task, `process ${pid} runs although there is nothing to do`);
  const violations = [...tape.violations, ...ran.violations, ...stored.violations, ...rig.violations];
  return {
    options: plain,
    schedule,
    violations,
    submissions,
    recoveries,
    tape,
    executions: { ...ran, count: executions.length },
    stored,
    rig: { deaths: rig.deaths },
    convergedMs,
    evidence: violations.length > 0 ? rig.options.folder : undefined,
  };
}

async function keepEvidence(folder: string, report: ChaosReport, rig: Rig): Promise<void> {
  const lines = (list: readonly object[]) => list.map(each => `${JSON.stringify(each)}\n`).join('');
  await writeFile(join(folder, 'schedule.jsonl'), lines(report.schedule));
  await writeFile(join(folder, 'violations.jsonl'), lines(report.violations));
  await writeFile(join(folder, 'tape.jsonl'), lines(rig.tape.events));
  for (const { life } of rig.places) if (life) await writeFile(join(folder, `${life.nodeId}.log`), life.node.output());
}
