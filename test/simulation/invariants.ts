import { createHash } from 'node:crypto';
import type { Fence, TaskId } from '../../shared/ids.ts';
import { type Keyspace, type ObjectKeys, parseTasksKey } from '../../shared/keyspace.ts';
import { ArtifactManifest, type AttemptsRecord, type LockRecord, type TaskResult } from '../../shared/result.ts';
import { DEFAULT_ATTEMPTS, type TaskRecord } from '../../shared/task.ts';
import type { Change, StoreRecord } from '../../node-runtime/store/store.ts';
import type { StoredObject } from '../support/memory-object-store.ts';
import type { Execution, Executions } from './executions.ts';
import type { Process } from './machine.ts';
import type { Cause, Entry, ModelEtcd } from './model-etcd.ts';
import { NEXT_FIELD } from './next-release.ts';
import type { Scheduler } from './scheduler.ts';
import { TaskProgram } from './task-program.ts';
import type { Invariant, Violation } from './violation.ts';

/** What is known of a task from the history alone. */
interface Facts {
  task: TaskRecord | undefined;
  /** As it was when it was last claimed. */
  claimed: TaskRecord | undefined;
  lock: { readonly fence: Fence; readonly record: LockRecord } | undefined;
  attempts: AttemptsRecord | undefined;
  result: TaskResult | undefined;
  /** Claims that were counted here, whatever the records say. */
  claims: number;
  isAcknowledged: boolean;
  /** When somebody was told that it will end. */
  cancelledAt: number | undefined;
  isArchived: boolean;
}

type TaskKey = { readonly kind: 'task' | 'lock' | 'attempts' | 'completed'; readonly id: TaskId };

/** What a program does that has such a verdict. Only those that never end by themselves have a short time limit. */
const ENDS: ReadonlyMap<string, TaskProgram['end']> = new Map([
  ['passed', 'passes'],
  ['failed', 'fails'],
  ['timed-out', 'never'],
]);
/** A supervisor needs this long at most, once it runs again, to stop what it must not let run, in milliseconds. */
const GUARD_MS = 1500;
/** After a node has died, nothing of its tasks may run for longer. */
const ORPHAN_MS = 10_000;

/** Checks every revision of etcd as it comes, and everything that runs on any machine, against what is promised. */
export class Invariants {
  readonly #keys: Keyspace;
  readonly #etcd: ModelEtcd;
  readonly #objects: ReadonlyMap<string, StoredObject>;
  readonly #objectKeys: () => ObjectKeys;
  readonly #executions: Executions;
  readonly #scheduler: Scheduler;
  readonly #onViolation: (violation: Violation) => void;
  readonly #facts = new Map<TaskId, Facts>();
  /** Attempts whose lease ended although it was renewed: how soon their nodes hear of it is not promised. */
  readonly #endedEarly = new Set<Fence>();
  /** When supervisors that were paused have gone on. */
  readonly #supervisorBack = new Map<Process, number>();
  readonly #isLeaving: (node: string) => boolean;

  constructor(parts: {
    readonly keys: Keyspace;
    readonly etcd: ModelEtcd;
    readonly objects: ReadonlyMap<string, StoredObject>;
    readonly objectKeys: () => ObjectKeys;
    readonly executions: Executions;
    readonly scheduler: Scheduler;
    /** Whether a node is on its way out of the cluster. */
    readonly isLeaving: (node: string) => boolean;
    readonly onViolation: (violation: Violation) => void;
  }) {
    this.#keys = parts.keys;
    this.#etcd = parts.etcd;
    this.#objects = parts.objects;
    this.#objectKeys = parts.objectKeys;
    this.#executions = parts.executions;
    this.#scheduler = parts.scheduler;
    this.#isLeaving = parts.isLeaving;
    this.#onViolation = parts.onViolation;
    this.#executions.onRunning = execution => this.#lookForOverlap(execution);
  }

  /** Tasks that have their verdict, by the history. */
  *finished(): Generator<readonly [TaskId, TaskResult]> {
    for (const [id, { result }] of this.#facts) if (result) yield [id, result];
  }

  resultOf(id: TaskId): TaskResult | undefined {
    return this.#facts.get(id)?.result;
  }

  /** Tasks that are neither finished nor forgotten. */
  get unfinished(): TaskId[] {
    return [...this.#facts]
      .filter(([, { task, isAcknowledged, result }]) => (task || isAcknowledged) && !result)
      .map(([id]) => id);
  }

  /** A submitter was told that its task is in. */
  acknowledged(id: TaskId): void {
    const facts = this.#of(id);
    facts.isAcknowledged = true;
    if (!facts.task && !facts.result) this.#violated('I3', id, 'was acknowledged and is not there');
  }

  /** Somebody was told that the task will end: from now on nobody may claim it. */
  cancelAcknowledged(id: TaskId): void {
    this.#of(id).cancelledAt ??= this.#scheduler.now;
  }

  /** Nothing has been wrong for a while: who was cancelled before must be gone. */
  checkCancelled(before: number): void {
    for (const [id, { cancelledAt = Number.POSITIVE_INFINITY, task }] of this.#facts)
      if (cancelledAt < before && task) this.#violated('I10', id, 'was cancelled long ago and has not ended');
  }

  /** What happened after the backup has not happened. */
  restored(): void {
    this.#facts.clear();
    for (const record of this.#etcd.all('')) {
      const key = this.#parse(record.key);
      if (key) this.#set(this.#of(key.id), key, record);
    }
    for (const facts of this.#facts.values()) {
      facts.claims = facts.attempts?.claims ?? 0;
      facts.isAcknowledged = facts.task !== undefined || facts.result !== undefined;
    }
    for (const execution of this.#executions.all()) this.#endedEarly.add(execution.fence);
  }

  /** A supervisor that stands still stops nothing. */
  supervisorPaused(guard: Process, isPaused: boolean): void {
    this.#supervisorBack.set(guard, isPaused ? Number.POSITIVE_INFINITY : this.#scheduler.now);
  }

  /** A node died: its tasks must die too. */
  nodeDied(node: Process, guard: Process | undefined): void {
    const look = (): void => {
      if (guard && !guard.isDead && (guard.isPaused || node.machine.isAsleep)) {
        this.#later(ORPHAN_MS, look);
        return;
      }
      for (const execution of this.#executions.all())
        if (execution.guard === guard && execution.isRunning)
          this.#violated('I11', execution.task, `runs 10 s after its node has died, on ${execution.machine}`);
    };
    this.#later(ORPHAN_MS, look);
  }

  take({ changes, cause, revision }: Entry): void {
    const byTask = new Map<TaskId, Map<TaskKey['kind'], Change>>();
    for (const change of changes) {
      const key = this.#parse(change.kind === 'put' ? change.record.key : change.key);
      if (!key) continue;
      const all = byTask.get(key.id) ?? new Map();
      byTask.set(key.id, all.set(key.kind, change));
    }
    for (const [id, all] of byTask) {
      this.#check(id, this.#of(id), all, cause, revision);
      for (const [kind, change] of all)
        this.#set(this.#of(id), { kind, id }, change.kind === 'put' ? change.record : undefined);
    }
  }

  #check(
    id: TaskId,
    facts: Facts,
    changes: ReadonlyMap<TaskKey['kind'], Change>,
    cause: Cause,
    revision: number,
  ): void {
    const { task, lock, attempts, completed } = Object.fromEntries(changes) as Partial<Record<TaskKey['kind'], Change>>;
    if (completed?.kind === 'put') this.#checkCompleted(id, facts, resultIn(completed.record), task);
    if (completed?.kind === 'delete') this.#checkArchived(id, facts);
    if (task?.kind === 'delete' && completed?.kind !== 'put')
      this.#violated('I3', id, 'has left the queue without a verdict');
    if (task?.kind === 'put') this.#checkPut(id, facts, task.record);
    if (lock?.kind === 'put') this.#checkClaim(id, facts, attempts, revision);
    if (lock?.kind === 'delete' && facts.lock) this.#checkUnlock(id, facts.lock, cause);
    if (attempts?.kind === 'put' && lock?.kind !== 'put') this.#checkRelease(id, facts, attempts.record);
  }

  /** It is put into the queue once, and once more at most: to be cancelled. */
  #checkPut(id: TaskId, { task, result }: Facts, { value }: StoreRecord): void {
    if (result) this.#violated('I5', id, 'is in the queue again after its verdict');
    if (task && (JSON.parse(value) as TaskRecord).cancelled === undefined)
      this.#violated('I5', id, 'was changed in the queue, and not to be cancelled');
  }

  #checkCompleted(id: TaskId, facts: Facts, result: TaskResult, task: Change | undefined): void {
    const { fence } = result;
    if (facts.result) this.#violated('I1', id, `was completed twice: ${facts.result.outcome}, then ${result.outcome}`);
    const holder = facts.lock?.fence ?? 0;
    if (holder !== fence) this.#violated('I2', id, `was completed under fence ${fence}, and the holder's is ${holder}`);
    if (task?.kind !== 'delete') this.#violated('I1', id, 'has a verdict and is still in the queue');
    if (result.attempt !== facts.claims)
      this.#violated('I4', id, `was claimed ${facts.claims} times, and its verdict speaks of ${result.attempt}`);
    if (fence > 0 && facts.claimed?.[NEXT_FIELD] !== undefined && result.task[NEXT_FIELD] === undefined)
      this.#violated('two releases', id, 'has lost what the next release had written into its record');
    if (fence > 0) this.#checkStored(id, result);
  }

  /** What a verdict speaks of is stored already. */
  #checkStored(id: TaskId, { fence, log, artifacts, outcome, task }: TaskResult): void {
    const keys = this.#objectKeys();
    const { files, end } = TaskProgram.parse(JSON.parse(task.steps[0]!.run));
    const expected = ENDS.get(outcome);
    if (expected !== undefined && end !== expected)
      this.#violated('I7', id, `has the verdict "${outcome}", and its program "${end}"`);
    if (outcome === 'passed' && artifacts.count !== files.length)
      this.#violated('I7', id, `has passed with ${artifacts.count} of its ${files.length} artifacts`);
    if (log.bytes > 0 && !this.#objects.has(keys.logManifest(id, fence)))
      this.#violated('I8', id, `was completed and its log of ${log.bytes} bytes is not stored`);
    if (artifacts.count === 0) return;
    const manifest = this.#objects.get(keys.artifactManifest(id, fence))?.bytes;
    if (!manifest || sha256(manifest) !== artifacts.sha256) {
      this.#violated('I7', id, 'was completed and the list of its artifacts is not stored, or another');
      return;
    }
    for (const file of ArtifactManifest.parse(JSON.parse(Buffer.from(manifest).toString())).files) {
      const stored = this.#objects.get(keys.artifact(id, fence, file.sha256))?.bytes;
      if (!stored || sha256(stored) !== file.sha256 || stored.length !== file.size)
        this.#violated('I7', id, `has an artifact that is not stored as it was: ${file.path}`);
    }
  }

  #checkArchived(id: TaskId, facts: Facts): void {
    const stored = this.#objects.get(this.#objectKeys().finished(id))?.bytes;
    const archived = stored && (JSON.parse(Buffer.from(stored).toString()) as TaskResult);
    if (archived?.fence !== facts.result?.fence || archived?.outcome !== facts.result?.outcome)
      this.#violated('I3', id, 'has left etcd and is not in the history');
    facts.isArchived = true;
  }

  #checkClaim(id: TaskId, facts: Facts, attempts: Change | undefined, revision: number): void {
    if (facts.result) this.#violated('I5', id, 'was claimed after its verdict');
    if (!facts.task) this.#violated('I5', id, 'was claimed and is not in the queue');
    if (facts.lock) this.#violated('I2', id, `was claimed at ${revision} while fence ${facts.lock.fence} holds it`);
    if (facts.cancelledAt !== undefined)
      this.#violated('I10', id, 'was claimed after its cancellation was acknowledged');
    facts.claimed = facts.task;
    facts.claims++;
    const counted = attempts?.kind === 'put' ? attemptsIn(attempts.record).claims : undefined;
    if (counted !== facts.claims)
      this.#violated('I4', id, `was claimed ${facts.claims} times, and ${counted} are counted`);
    this.#checkBudget(id, facts);
  }

  /** Before this claim, what had ended must have left room for one more. */
  #checkBudget(id: TaskId, { task, attempts, claims }: Facts): void {
    const { crashed = DEFAULT_ATTEMPTS.crashed, lost = DEFAULT_ATTEMPTS.lost } = task?.attempts ?? {};
    const ended = attempts ?? { crashed: 0, lost: 0, drained: 0, open: undefined };
    const most = task?.idempotent === false ? 1 : crashed + lost - 1 + ended.drained;
    if (claims > most) this.#violated('I4', id, `was claimed ${claims} times, and may be ${most}`);
    if (ended.crashed >= crashed)
      this.#violated('I4', id, `was claimed after ${ended.crashed} crashes of ${crashed} allowed`);
    // One that nobody has closed was lost with its node.
    const gone = ended.lost + (ended.open ? 1 : 0);
    if (gone >= lost) this.#violated('I4', id, `was claimed after ${gone} lost attempts of ${lost} allowed`);
  }

  #checkUnlock(id: TaskId, { fence, record }: NonNullable<Facts['lock']>, cause: Cause): void {
    if (cause === 'lease revoked early') this.#endedEarly.add(fence);
    if (cause !== 'lease revoked') return;
    if (!this.#isLeaving(record.node))
      this.#violated('I11', id, `has lost its lock as ${record.node} ended the lease of all its claims`);
    for (const execution of this.#executions.of(id))
      if (execution.fence === fence && execution.isRunning && !this.#isGuardExcused(execution))
        this.#violated('I11', id, `was given up by its node, which left the cluster while it ran`);
  }

  /** A claim that is handed back closes its own attempt, in one of three ways. */
  #checkRelease(id: TaskId, facts: Facts, record: StoreRecord): void {
    const now = attemptsIn(record);
    const before = facts.attempts ?? { claims: 0, crashed: 0, lost: 0, drained: 0 };
    const more = now.crashed + now.lost + now.drained - before.crashed - before.lost - before.drained;
    if (now.claims !== before.claims || more !== 1)
      this.#violated('I4', id, 'was handed back and its attempts do not add up');
    const end = now.past.at(-1)?.end;
    if ((end === 'drained') !== now.drained > before.drained)
      this.#violated('I4', id, `was handed back as ${end} and charged otherwise`);
  }

  /** Two attempts of one task must not run at the same time; a moment is forgiven where nobody could have known. */
  #lookForOverlap(execution: Execution): void {
    for (const other of this.#executions.of(execution.task)) {
      if (other.fence === execution.fence || !other.isRunning || !execution.isRunning) continue;
      const older = other.fence < execution.fence ? other : execution;
      if (this.#endedEarly.has(older.fence)) continue;
      if (this.#isGuardExcused(older)) this.#later(GUARD_MS, () => this.#lookForOverlap(execution));
      else
        this.#violated('I6', execution.task, `runs twice at once: under fence ${other.fence} and ${execution.fence}`);
    }
  }

  #isGuardExcused({ guard, process: { machine } }: Execution): boolean {
    if (machine.isAsleep) return true;
    const back = Math.max(this.#supervisorBack.get(guard) ?? -GUARD_MS, machine.wokeAt);
    return this.#scheduler.now < back + GUARD_MS;
  }

  #later(ms: number, run: () => void): void {
    this.#scheduler.after(ms, run);
  }

  #set(facts: Facts, { kind }: TaskKey, record: StoreRecord | undefined): void {
    switch (kind) {
      case 'task':
        facts.task = record && JSON.parse(record.value);
        break;
      case 'lock':
        facts.lock = record && { fence: record.createRevision, record: JSON.parse(record.value) };
        break;
      case 'attempts':
        facts.attempts = record && attemptsIn(record);
        break;
      case 'completed':
        // It stays known when it leaves etcd for the history.
        if (record) facts.result = resultIn(record);
    }
  }

  #parse(key: string): TaskKey | undefined {
    for (const [kind, prefix] of [
      ['attempts', `${this.#keys.root}attempts/`],
      ['completed', this.#keys.completedTasks],
    ] as const)
      if (key.startsWith(prefix)) return { kind, id: key.slice(prefix.length) as TaskId };
    return parseTasksKey(this.#keys, key);
  }

  #of(id: TaskId): Facts {
    const known = this.#facts.get(id);
    if (known) return known;
    const facts: Facts = {
      task: undefined,
      claimed: undefined,
      lock: undefined,
      attempts: undefined,
      result: undefined,
      claims: 0,
      isAcknowledged: false,
      cancelledAt: undefined,
      isArchived: false,
    };
    this.#facts.set(id, facts);
    return facts;
  }

  #violated(invariant: Invariant, task: TaskId, text: string): void {
    this.#onViolation({ invariant, task, text: `Task ${task} ${text}` });
  }
}

function attemptsIn(record: StoreRecord): AttemptsRecord {
  return JSON.parse(record.value) as AttemptsRecord;
}

function resultIn(record: StoreRecord): TaskResult {
  return JSON.parse(record.value) as TaskResult;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
