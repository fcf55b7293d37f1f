import { z } from 'zod';
import { STEP_OUTCOMES } from './step-outcomes.ts';
import { TaskRecord } from './task.ts';

/**
 * How a task ended. An outside contract: people write retry rules against these words, so a new one is a reviewed change
 * and none is ever renamed.
 */
export const Outcome = z.enum([
  /** Every step exited 0, or was allowed to fail. */
  'passed',
  /** A step exited with something else than 0, or an artifact that was asked for could not be kept by the task's own fault. */
  'failed',
  /** It ran longer than its timeout, or a step longer than its own. */
  'timed-out',
  /** It printed nothing for its idle timeout. */
  'idle-timed-out',
  /** Somebody asked for it to stop. */
  'cancelled',
  /** Its attempts were used up by nodes and stores that failed, not by the task. */
  'infrastructure-lost',
  /** Its process was killed by something else than Simple CI (out of memory, say) as often as its budget allows. */
  'crashed',
  /** It was given up without a verdict: it may not be repeated and its only attempt was lost. */
  'dead-lettered',
  /** It could never have run: a snapshot that is gone, a ref that does not exist, a secret that is not there. */
  'invalid',
]);
export type Outcome = z.infer<typeof Outcome>;

export const StepResult = z.looseObject({
  name: z.string(),
  outcome: z.enum(STEP_OUTCOMES),
  /** Absent when the process was killed or never started. */
  exitCode: z.int().optional(),
  /** The signal that killed it, such as `SIGKILL`. */
  signal: z.string().optional(),
  started: z.number().optional(),
  finished: z.number().optional(),
});
export type StepResult = z.infer<typeof StepResult>;

/** Why an attempt that did not complete the task ended. */
export const AttemptEnd = z.enum([
  /** Its node vanished: the lock expired. */
  'lost',
  /** Its node handed it back while draining. Charged to no budget. */
  'drained',
  /** Its node gave it up because a store failed. */
  'infrastructure',
  /** The task's process was killed by something else than Simple CI. */
  'crashed',
]);
export type AttemptEnd = z.infer<typeof AttemptEnd>;

export const PastAttempt = z.looseObject({
  attempt: z.int(),
  fence: z.int(),
  node: z.string(),
  claimed: z.number(),
  end: AttemptEnd,
  message: z.string().optional(),
});
export type PastAttempt = z.infer<typeof PastAttempt>;

/** `attempts/$TASK_ID`: how often the task was claimed, and how those attempts ended. Written in the claim itself. */
export const AttemptsRecord = z.looseObject({
  v: z.int().min(1),
  claims: z.int(),
  crashed: z.int(),
  lost: z.int(),
  drained: z.int(),
  /** The attempt under way, or the one whose node vanished. Its fence is this record's own revision. */
  open: z.looseObject({ attempt: z.int(), node: z.string(), instance: z.string(), claimed: z.number() }).optional(),
  /** The newest 20 that ended without completing the task, oldest first. */
  past: z.array(PastAttempt),
});
export type AttemptsRecord = z.infer<typeof AttemptsRecord>;

/** `tasks/$TASK_ID.lock`: who holds the task. */
export const LockRecord = z.looseObject({
  v: z.int().min(1),
  node: z.string(),
  /** A random word for each start of a node: a node that restarts under its old name does not own its old locks. */
  instance: z.string(),
  /** A random word for each claim, by which a node recognises its own success when the answer was lost. */
  nonce: z.string(),
  attempt: z.int(),
  /** Where the node serves its API: who wants the live log asks there. */
  address: z.string(),
  claimed: z.number(),
});
export type LockRecord = z.infer<typeof LockRecord>;

/** `completed/$TASK_ID`: the verdict, written once by the holder of the claim that `fence` names. */
export const TaskResult = z.looseObject({
  v: z.int().min(1),
  outcome: Outcome,
  /** A sentence for people: which step failed and how, what timed out, who cancelled. */
  message: z.string(),
  /** The fence of the attempt that completed it; 0 when none did (cancelled in the queue, given up). */
  fence: z.int(),
  attempt: z.int(),
  node: z.string(),
  instance: z.string(),
  /** Milliseconds since 1970, each by the clock of the node that wrote it. `started` is absent when no step ran. */
  times: z.looseObject({
    submitted: z.number(),
    claimed: z.number().optional(),
    started: z.number().optional(),
    finished: z.number(),
  }),
  steps: z.array(StepResult),
  /** The commit that was checked out, for sources that have one. */
  commit: z.string().optional(),
  /** The stored log of the completing attempt, in bytes of output. */
  log: z.looseObject({ bytes: z.number(), lines: z.number() }),
  artifacts: z.looseObject({
    count: z.int(),
    bytes: z.number(),
    /** SHA-256 of the manifest object. */ sha256: z.string().optional(),
  }),
  past: z.array(PastAttempt),
  task: TaskRecord,
});
export type TaskResult = z.infer<typeof TaskResult>;

export const ArtifactManifest = z.looseObject({
  v: z.int().min(1),
  files: z.array(
    z.looseObject({ path: z.string(), size: z.number(), sha256: z.string(), executable: z.boolean().optional() }),
  ),
});
export type ArtifactManifest = z.infer<typeof ArtifactManifest>;
export type Artifact = ArtifactManifest['files'][number];

/** `members/$NODE_ID`: for people, for finding live logs and for metrics; nothing is decided by it. */
export const MemberRecord = z.looseObject({
  v: z.int().min(1),
  node: z.string(),
  instance: z.string(),
  address: z.string(),
  slots: z.int(),
  labels: z.array(z.string()),
  version: z.string(),
  started: z.number(),
  draining: z.boolean(),
  isolation: z.string(),
});
export type MemberRecord = z.infer<typeof MemberRecord>;

/** `cluster`: written once by the node that forms the cluster. */
export const ClusterRecord = z.looseObject({
  v: z.int().min(1),
  /** A random word that names this forming of the cluster; part of every object key. */
  epoch: z.string().regex(/^[a-z0-9]{8,32}$/),
  created: z.number(),
});
export type ClusterRecord = z.infer<typeof ClusterRecord>;
