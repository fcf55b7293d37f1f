import { isCiError } from '../../shared/errors.ts';
import type { TaskId } from '../../shared/ids.ts';
import type { AttemptsRecord, LockRecord, PastAttempt } from '../../shared/result.ts';
import { DEFAULT_ATTEMPTS, FORMAT_VERSION, type TaskRecord } from '../../shared/task.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import type { LeaseId, StoreRecord } from '../store/store.ts';
import { retry } from '../system/retry.ts';
import { type Claim, type Seen, type TaskState, taskStateOf } from './records.ts';

/** Who claims. */
export interface Claimant {
  readonly node: string;
  readonly instance: string;
  readonly address: string;
  /** The lock lives as long as this lease is renewed. */
  readonly lease: LeaseId;
}

export type ClaimResult =
  | { readonly kind: 'claimed'; readonly claim: Claim; readonly transactions: number }
  /** Somebody else holds it, or it is no longer in the queue as it was seen. */
  | { readonly kind: 'taken'; readonly transactions: number }
  /** The answer was lost and the claim is not there, or not yet: to be watched with `dropLateClaim`. */
  | { readonly kind: 'unknown'; readonly nonce: string; readonly transactions: number }
  /** Its attempts are used up: it is to be dead-lettered. */
  | {
      readonly kind: 'exhausted';
      readonly task: Seen<TaskRecord>;
      readonly attempts: Seen<AttemptsRecord>;
      readonly transactions: number;
    };

/**
 * CLAIM: creates the lock and counts the attempt, in one transaction. Exactly one claimant wins; the revision of the winning
 * transaction is the fence.
 *
 * The attempts record is rarely there, so the first transaction supposes that there is none; where there is one (the task was
 * claimed before), the refusal brings it along and a second transaction follows.
 */
export async function claimTask(
  cluster: Cluster,
  id: TaskId,
  seen: Seen<TaskRecord>,
  claimant: Claimant,
  signal: AbortSignal,
): Promise<ClaimResult> {
  const first = await tryClaim(cluster, id, seen, undefined, claimant, signal);
  if (first.kind !== 'refused') return { ...first, transactions: 1 };
  const { task, lock, completed, attempts } = first.state;
  if (lock || completed || task?.revision !== seen.revision || !attempts) return { kind: 'taken', transactions: 1 };
  if (isExhausted(task.value, attempts.value)) return { kind: 'exhausted', task, attempts, transactions: 1 };
  const second = await tryClaim(cluster, id, seen, attempts, claimant, signal);
  return second.kind === 'refused' ? { kind: 'taken', transactions: 2 } : { ...second, transactions: 2 };
}

type Try =
  | { readonly kind: 'claimed'; readonly claim: Claim }
  | { readonly kind: 'refused'; readonly state: TaskState }
  | { readonly kind: 'unknown'; readonly nonce: string };

async function tryClaim(
  cluster: Cluster,
  id: TaskId,
  seen: Seen<TaskRecord>,
  before: Seen<AttemptsRecord> | undefined,
  claimant: Claimant,
  signal: AbortSignal,
): Promise<Try> {
  const { keys, store, clock, chance } = cluster;
  const attempts = countAttempt(before, claimant, clock.now());
  const lock: LockRecord = {
    v: FORMAT_VERSION,
    node: claimant.node,
    instance: claimant.instance,
    nonce: chance.word(16),
    attempt: attempts.claims,
    address: claimant.address,
    claimed: clock.now(),
  };
  const result = await store.commit(
    {
      when: [
        { key: keys.task(id), modRevision: seen.revision },
        { key: keys.lock(id), exists: false },
        { key: keys.completed(id), exists: false },
        { key: keys.attempts(id), modRevision: before?.revision ?? 0 },
      ],
      then: [
        { put: keys.lock(id), value: JSON.stringify(lock), lease: claimant.lease },
        { put: keys.attempts(id), value: JSON.stringify(attempts) },
      ],
      otherwise: [keys.task(id), keys.lock(id), keys.attempts(id), keys.completed(id)],
    },
    { signal, timeoutMs: CALL_TIMEOUT_MS },
  );
  const claim = (fence: number): Try => ({
    kind: 'claimed',
    claim: { id, task: seen.value, taskRevision: seen.revision, fence, lease: claimant.lease, lock, attempts },
  });
  if (result.kind === 'committed') return claim(result.revision);
  if (result.kind === 'ambiguous') {
    const own = await findOwnLock(cluster, id, lock.nonce, signal);
    return own === undefined ? { kind: 'unknown', nonce: lock.nonce } : claim(own);
  }
  const state = taskStateOf(cluster, id, result.revision, result.records);
  // A refusal may be the second hearing of our own success (the transport sent it twice): the nonce tells.
  return state.lock?.value.nonce === lock.nonce ? claim(state.lock.revision) : { kind: 'refused', state };
}

/**
 * The revision of the lock, if it is the one with this nonce. After a lost answer the truth must be known, whatever stands in
 * the way and for how long: while the session lives, so would a lock that nobody works under.
 */
function findOwnLock(cluster: Cluster, id: TaskId, nonce: string, signal: AbortSignal): Promise<number | undefined> {
  const { store, keys } = cluster;
  const look = async () => {
    const { records } = await store.range({ key: keys.lock(id), limit: 1 }, { signal, timeoutMs: CALL_TIMEOUT_MS });
    return records[0] && hasNonce(records[0], nonce) ? records[0].createRevision : undefined;
  };
  const isTransient = (error: unknown) => isCiError(error);
  return retry(look, { ...cluster, signal, isTransient, limitMs: Number.POSITIVE_INFINITY });
}

/** Whether a lock is the one that was tried with this nonce; whoever else holds it, and whatever release wrote it. */
export function hasNonce(lock: StoreRecord, nonce: string): boolean {
  return lock.value.includes(`"nonce":"${nonce}"`);
}

/** The record that this claim writes. An attempt still open in the last one was lost: its holder closed it neither way. */
function countAttempt(before: Seen<AttemptsRecord> | undefined, claimant: Claimant, now: number): AttemptsRecord {
  const closed = before
    ? closeLost(before)
    : { v: FORMAT_VERSION, claims: 0, crashed: 0, lost: 0, drained: 0, past: [] };
  const attempt = closed.claims + 1;
  return {
    ...closed,
    claims: attempt,
    open: { attempt, node: claimant.node, instance: claimant.instance, claimed: now },
  };
}

/** The record with its open attempt, if any, closed as lost. */
export function closeLost({ value, revision }: Seen<AttemptsRecord>): AttemptsRecord {
  const { open, ...rest } = value;
  if (!open) return rest;
  const past: PastAttempt = {
    attempt: open.attempt,
    fence: revision,
    node: open.node,
    claimed: open.claimed,
    end: 'lost',
  };
  return { ...rest, lost: rest.lost + 1, past: keepNewest([...rest.past, past]) };
}

/** At most 20 past attempts are kept, the newest. */
export function keepNewest(past: readonly PastAttempt[]): PastAttempt[] {
  return past.slice(-20);
}

/** Whether the task may not be started again: a budget is used up, or it may be started only once and may have been. */
function isExhausted(task: TaskRecord, attempts: AttemptsRecord): boolean {
  const lost = attempts.lost + (attempts.open ? 1 : 0);
  if (task.idempotent === false && attempts.claims > 0) return true;
  return (
    lost >= (task.attempts?.lost ?? DEFAULT_ATTEMPTS.lost) ||
    attempts.crashed >= (task.attempts?.crashed ?? DEFAULT_ATTEMPTS.crashed)
  );
}
