import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChaosReport, checkRun, type LeftOut } from './check-run.ts';
import type { Violation } from './check-tape.ts';
import { Draw } from './draw.ts';
import { NEMESES } from './nemeses.ts';
import { type Load, LOADS, type LoadName } from './loads.ts';
import type { Nemesis } from './nemesis.ts';
import { Onlooker } from './onlooker.ts';
import { Rig } from './rig.ts';
import { type Density, type Fault, formatFault, planFaults } from './schedule.ts';
import { Storm } from './storm.ts';
import { untilCompleted } from './until-completed.ts';
import { untilKey } from './until-key.ts';
import { Workload } from './workload.ts';

export interface ChaosOptions {
  readonly seed: string;
  /** How long faults go on, in milliseconds. */
  readonly durationMs: number;
  readonly nodes: number;
  readonly tasksPerSecond: number;
  /** Default: mixed. */
  readonly load?: LoadName;
  /** Of each node. Default: what the load wants. */
  readonly slots?: number | undefined;
  /** Default: all. */
  readonly nemeses?: readonly Nemesis[];
  /** Default: faults of each track follow each other at once, and those of different tracks overlap. */
  readonly density?: Density;
  /** The bundle that is put to the test. Default: this checkout's. */
  readonly program?: string;
  /** Whether what was recorded is kept also when nothing was broken. */
  readonly keepsEvidence?: boolean;
  readonly log: (text: string) => void;
}

/** All faults must be healed so long after the last should be. */
const HEAL_MS = 10 * 60_000;
/** All work must be done so long after the last fault: the TTL, three times the longest task, and a minute. */
const CONVERGE_MS = 30_000 + 3 * 60_000 + 60_000;
/** The records of dead nodes are gone so long after the last fault: each new leader of etcd gives every lease its whole TTL anew. */
const DEAD_MS = 2 * 30_000;
/** What is on its way out when the last task is done is gone after the first; for the second, nothing may be written. */
const SETTLE_MS = 2000;
const IDLE_MS = 10_000;
/** How long a user tries to submit. */
const PATIENCE_MS = 120_000;

/**
 * A cluster of real processes under load and under faults, then without faults until all is done, then without anything to do;
 * and then everything that was recorded is held against what is promised.
 */
export async function runChaos(options: ChaosOptions, signal: AbortSignal): Promise<ChaosReport> {
  const { seed, durationMs, nodes, program, log } = options;
  const wanted = LOADS[options.load ?? 'mixed'];
  const load: Load = { ...wanted, slots: options.slots ?? wanted.slots };
  const { nemeses, leftOut } = possible(options.nemeses ?? NEMESES);
  for (const { nemesis, why } of leftOut) log(`Left out: ${nemesis}, as ${why}`);
  const schedule = planFaults(seed, durationMs, nemeses, options.density);
  log(`Seed ${seed}: ${schedule.length} faults in ${durationMs / 1000} s on ${nodes} nodes`);
  for (const fault of schedule) log(formatFault(fault));
  const folder = await mkdtemp(join(tmpdir(), 'simple-ci-chaos-'));
  // Tasks run as other users, and their files are to lie on the disks in it.
  await chmod(folder, 0o711);
  let isKept = false as boolean; // What is done to it in a callback, the compiler does not see.
  try {
    await using rig = await Rig.start({ nodes, load, folder, program, log });
    const keep = async (violations: readonly Violation[]) => {
      isKept = true;
      await keepEvidence(folder, schedule, violations, rig);
      log(`What was recorded is in ${folder}`);
    };
    const lived = await live(rig, { ...options, nemeses }, schedule, signal).catch(async error => {
      if (!signal.aborted) await keep(rig.violations);
      throw error;
    });
    const report = { ...lived, leftOut };
    if (options.keepsEvidence || report.violations.length > 0) await keep(report.violations);
    return isKept ? { ...report, evidence: folder } : report;
  } finally {
    // Disks and a key are no evidence.
    for (const name of ['secrets-key', 'disks']) await rm(join(folder, name), { recursive: true, force: true });
    if (!isKept) await rm(folder, { recursive: true, force: true });
  }
}

/** What can be had here, and what cannot. */
function possible(all: readonly Nemesis[]): { nemeses: Nemesis[]; leftOut: LeftOut[] } {
  const asked = all.map(nemesis => ({ nemesis, why: nemesis.whyNot?.() }));
  return {
    nemeses: asked.flatMap(({ nemesis, why }) => (why === undefined ? [nemesis] : [])),
    leftOut: asked.flatMap(({ nemesis, why }) => (why === undefined ? [] : [{ nemesis: nemesis.name, why }])),
  };
}

async function live(
  rig: Rig,
  options: ChaosOptions & { readonly nemeses: readonly Nemesis[] },
  schedule: readonly Fault[],
  signal: AbortSignal,
): Promise<Omit<ChaosReport, 'leftOut'>> {
  const { durationMs, nemeses, density, log } = options;
  // However this ends, users and onlookers end with it.
  const ended = new AbortController();
  const living = AbortSignal.any([signal, ended.signal]);
  const onlooker = new Onlooker(rig.api, living);
  const workload = users(rig, options, onlooker, living);
  const storm = new Storm(rig, workload, nemeses);
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(durationMs + HEAL_MS)]);
    await underLoad(workload, ended, () => storm.run(schedule, density?.oneByOne === true, limit), signal);
    log('All faults are healed, and nobody submits any more');
    const healedAt = performance.now();
    const late = await untilCompleted(rig, workload.acknowledged, CONVERGE_MS, signal);
    for (const id of late) rig.report('I3', id, `it had not ended ${CONVERGE_MS / 1000} s after the last fault`);
    const convergedMs = performance.now() - healedAt;
    await onlooker.settled(PATIENCE_MS);
    await rig.settled();
    await untilDeadAreGone(rig, DEAD_MS, signal);
    log(`${workload.acknowledged.length} tasks are done; watching the idle cluster`);
    const quietFrom = await watchIdle(rig, signal);
    log('Reading the tape, what tasks told, every log and every object');
    rig.violations.push(...onlooker.violations);
    const { spells, missed, recoveries } = storm;
    return await checkRun(rig, workload, { schedule, spells, missed, recoveries, convergedMs, quietFrom }, signal);
  } finally {
    ended.abort();
  }
}

function users(rig: Rig, { seed, tasksPerSecond }: ChaosOptions, onlooker: Onlooker, signal: AbortSignal): Workload {
  const { api, witness, tape, cluster } = rig;
  const { load } = rig.options;
  return new Workload({
    api,
    draw: new Draw(`${seed}/load`),
    witnessPort: witness.port,
    load,
    tasksPerSecond,
    signal,
    patienceMs: PATIENCE_MS,
    claimed: async (id, ended) =>
      void (await untilKey(tape, [`${cluster}/tasks/${id}.lock`, `${cluster}/completed/${id}`], ended)),
    completed: countCompleted(rig),
    onAcknowledged: id => onlooker.follow(id),
    onRefused: (id, error) => rig.report('API', id, error.message),
  });
}

/** How many tasks have their result by the tape, as often as that is asked. */
function countCompleted({ tape, cluster }: Rig): () => number {
  const prefix = `${cluster}/completed/`;
  let [seen, count] = [0, 0];
  return () => {
    for (; seen < tape.events.length; seen++) {
      const { kind, key } = tape.events[seen]!;
      if (kind === 'put' && key.startsWith(prefix)) count++;
    }
    return count;
  };
}

/** The revision from which on nothing was to be done; resolves when the cluster was watched for a while. */
async function watchIdle({ tape }: Rig, signal: AbortSignal): Promise<number> {
  await sleep(SETTLE_MS, undefined, { signal });
  const { head } = tape;
  await sleep(IDLE_MS, undefined, { signal });
  return head;
}

/** Does something while tasks are submitted. */
async function underLoad(
  workload: Workload,
  ended: AbortController,
  action: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const enough = new AbortController();
  const load = workload.run(AbortSignal.any([signal, enough.signal]));
  try {
    await action();
  } catch (error) {
    ended.abort(error);
    throw error;
  } finally {
    enough.abort();
    await load;
  }
}

/** Or until the time is over. */
async function untilDeadAreGone(rig: Rig, limitMs: number, signal: AbortSignal): Promise<void> {
  const ended = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
  const prefix = `${rig.cluster}/members/`;
  const members = new Set<string>();
  const isDead = (key: string) => !rig.living.some(({ life }) => key === prefix + life?.nodeId);
  for (let seen = 0; !ended.aborted; await rig.tape.changed(ended)) {
    for (; seen < rig.tape.events.length; seen++) {
      const { key, kind } = rig.tape.events[seen]!;
      if (key.startsWith(prefix)) members[kind === 'put' ? 'add' : 'delete'](key);
    }
    if (![...members].some(isDead)) return;
  }
  signal.throwIfAborted();
}

async function keepEvidence(
  folder: string,
  schedule: readonly Fault[],
  violations: readonly Violation[],
  rig: Rig,
): Promise<void> {
  const lines = (list: readonly object[]) => list.map(each => `${JSON.stringify(each)}\n`).join('');
  await writeFile(join(folder, 'schedule.jsonl'), lines(schedule));
  await writeFile(join(folder, 'violations.jsonl'), lines(violations));
  await writeFile(join(folder, 'tape.jsonl'), lines(rig.tape.events));
  for (const { nodeId, node } of rig.lives) await writeFile(join(folder, `${nodeId}.log`), node.output());
}
