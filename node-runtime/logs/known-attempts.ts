import type { Fence } from '../../shared/ids.ts';
import type { LogEndEvent } from '../../shared/log.ts';
import type { AttemptsRecord, LockRecord, PastAttempt, TaskResult } from '../../shared/result.ts';
import type { TaskState } from '../queue/records.ts';

/** An attempt at a task, as the coordination store knows it. */
export interface KnownAttempt {
  readonly attempt: number;
  readonly fence: Fence;
  readonly node: string;
  readonly state:
    | { readonly kind: 'running'; readonly lock: LockRecord }
    | { readonly kind: 'over'; readonly how: LogEndEvent['reason'] };
}

/** All attempts at a task that are on record, oldest first: of very many, the newest. */
export function knownAttempts({ lock, attempts, completed }: TaskState): KnownAttempt[] {
  const known = new Map<Fence, KnownAttempt>();
  if (completed !== undefined) for (const each of attemptsOfResult(completed.value)) known.set(each.fence, each);
  if (attempts !== undefined)
    for (const each of attemptsOfRecord(attempts.value, attempts.revision)) known.set(each.fence, each);
  if (lock !== undefined) {
    const { attempt, node } = lock.value;
    known.set(lock.revision, { attempt, node, fence: lock.revision, state: { kind: 'running', lock: lock.value } });
  }
  return [...known.values()].sort((a, b) => a.fence - b.fence);
}

export function attemptsOfResult({ past, fence, attempt, node }: TaskResult): KnownAttempt[] {
  const completing: KnownAttempt = { attempt, fence, node, state: { kind: 'over', how: 'finished' } };
  return [...past.map(ofPast), ...(fence > 0 ? [completing] : [])];
}

/** The open one counts as lost here: if its lock is still there, that has more to say. */
function attemptsOfRecord({ past, open }: AttemptsRecord, revision: number): KnownAttempt[] {
  const attempts = past.map(ofPast);
  if (open === undefined) return attempts;
  const { attempt, node } = open;
  return [...attempts, { attempt, node, fence: revision, state: { kind: 'over', how: 'lost' } }];
}

function ofPast({ attempt, fence, node, end }: PastAttempt): KnownAttempt {
  return {
    attempt,
    fence,
    node,
    state: { kind: 'over', how: end === 'lost' || end === 'infrastructure' ? 'lost' : 'finished' },
  };
}
