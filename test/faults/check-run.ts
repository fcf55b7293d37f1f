import { openBucket } from './bucket.ts';
import { checkExecutions, type ExecutionStory } from './check-executions.ts';
import { checkStored, type LogLoss, type StoredStory } from './check-stored.ts';
import { attemptName, checkTape, heldAt, type TapeStory, type Violation } from './check-tape.ts';
import { checkVerdicts } from './check-verdicts.ts';
import { findTaskProcesses } from './processes.ts';
import type { Death, Rig } from './rig.ts';
import type { Fault } from './schedule.ts';
import type { Recovery, Spell } from './storm.ts';
import type { Execution } from './witness.ts';
import type { Submission, Workload } from './workload.ts';

/** What was done to a cluster, beside what the rig knows. */
export interface Course {
  readonly schedule: readonly Fault[];
  readonly spells: readonly Spell[];
  /** Faults that hurt nobody, one name for each time. */
  readonly missed: readonly string[];
  readonly recoveries: readonly Recovery[];
  /** How long it took until the queue was empty when faults and submissions had ended, in milliseconds. */
  readonly convergedMs: number;
  /** The revision from which on nothing was to be done. */
  readonly quietFrom: number;
}

export interface LeftOut {
  readonly nemesis: string;
  readonly why: string;
}

/** What a run has brought to light. */
export interface ChaosReport extends Course {
  readonly violations: readonly Violation[];
  readonly submissions: readonly Submission[];
  readonly deaths: readonly Death[];
  readonly tape: TapeStory;
  readonly executions: ExecutionStory;
  /** What tasks told of themselves. */
  readonly witnessed: readonly Execution[];
  readonly stored: StoredStory;
  /** Kinds of faults that could not be had, and why. */
  readonly leftOut: readonly LeftOut[];
  /** Where schedule, tape and side files lie, if something was broken. */
  readonly evidence?: string;
}

const TTL_MS = 30_000;
/** How long reading everything again may take. */
const LIMIT_MS = 30 * 60_000;

/** Holds everything that was recorded against what is promised. */
export async function checkRun(
  rig: Rig,
  workload: Workload,
  course: Course,
  signal: AbortSignal,
): Promise<Omit<ChaosReport, 'leftOut'>> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
  await checkEnd(rig);
  const events = [...rig.tape.events];
  const tape = checkTape(events, {
    root: `${rig.cluster}/`,
    acknowledged: workload.acknowledged,
    cancelled: workload.cancelled,
    lockGraceMs: (from, to) => TTL_MS * (1 + faultsOfEtcd(course.spells, from, to)),
    quietFrom: course.quietFrom,
    torn: rig.tape.torn,
  });
  const { claims, completed } = tape;
  const { submissions } = workload;
  const { api, canaries, blackouts, deaths } = rig;
  const { executions } = rig.witness;
  const ran = checkExecutions({ executions, claims, completed, blackouts });
  using bucket = openBucket(rig.s3);
  const stored = await checkStored(
    {
      api,
      bucket,
      submissions,
      executions,
      claims,
      completed,
      canaries,
      events,
      couldStore: couldStore(course.spells),
    },
    limit,
  );
  const small = rig.places.filter(({ hasSmallDisk }) => hasSmallDisk);
  const isExcused = (nodeId: string) => small.some(({ name }) => nodeId.startsWith(`${name}.`));
  const verdicts = checkVerdicts({ submissions, claims, completed, isExcused });
  const held = deaths.flatMap(({ nodeId, at }) => heldAt(claims, nodeId, at).map(attemptName));
  const lost = checkLosses(stored.losses, new Set(held));
  const found = [tape.violations, ran.violations, stored.violations, lost, verdicts, rig.violations];
  const violations = found.flat();
  return { ...course, violations, submissions, deaths, tape, executions: ran, witnessed: executions, stored };
}

/** Each may have changed the leader, and a new one gives every lease its whole time anew. */
function faultsOfEtcd(spells: readonly Spell[], from: number, to: number): number {
  return spells.filter(spell => spell.track === 'etcd' && spell.from < to && spell.to > from).length;
}

/** How much of a log may go with a node that was killed, in seconds. */
const LOSS_LIMIT_SECONDS = 5;

/**
 * A node that was well until it was shot has stored what is older than that, however little it was. One that was stopped or cut off
 * may lose more: that much, its log's own check forgives.
 */
export function checkLosses(losses: readonly LogLoss[], held: ReadonlySet<string>): Violation[] {
  return losses
    .filter(loss => !loss.isExcused && loss.seconds > LOSS_LIMIT_SECONDS && held.has(attemptName(loss)))
    .map(({ task, fence, seconds, bytes }) => ({
      invariant: 'I8',
      subject: `${task}, fence ${fence}`,
      text: `its node was killed, and its log lacks its last ${seconds.toFixed(1)} s, ${bytes} bytes`,
    }));
}

/** Lines are stored in pieces, each half a second after its first one: what a fault meets was printed before. */
const LEAD_MS = 1000;
/** What could not be stored meanwhile is stored soon after. */
const CATCH_UP_MS = 5000;

/** Whether nothing has kept that node from storing what was printed then; what befell other nodes is no excuse. */
export function couldStore(spells: readonly Spell[]): (node: string, from: number, to: number) => boolean {
  return (node, from, to) =>
    !spells.some(spell => {
      const since = spell.storing.get(placeOf(node));
      return since !== undefined && since - LEAD_MS < to && spell.to + CATCH_UP_MS > from;
    });
}

/** Nodes are called by their place and how many came before them there. */
function placeOf(node: string): string {
  return node.slice(0, node.lastIndexOf('.'));
}

/** The tape ends where etcd does, and no task runs any more. */
async function checkEnd(rig: Rig): Promise<void> {
  const { header } = await rig.onAnyMember('/v3/kv/range', { key: 'AA==', limit: '1' });
  const { revision } = header as { revision: string };
  if (Number(revision) !== rig.tape.head)
    rig.report('tape', rig.cluster, `it ends at ${rig.tape.head}, etcd at ${revision}`);
  for (const { pid, task } of await findTaskProcesses(rig.cluster))
    rig.report('I11', task, `process ${pid} runs although there is nothing to do`);
}
