import { createHash } from 'node:crypto';
import { isCiError } from '../../shared/errors.ts';
import type { Fence, TaskId } from '../../shared/ids.ts';
import { CALL_TIMEOUT_MS, type Cluster } from '../cluster/cluster.ts';
import { type Applicant, holdPost, leavePost, type Post } from '../cluster/posts.ts';
import { attemptOf, refOf, type TaskPods } from './task-pods.ts';

export interface ReapPodsParts {
  readonly cluster: Pick<Cluster, 'keys' | 'store' | 'clock' | 'chance'>;
  readonly applicant: Applicant;
  /** What is the same for all nodes of this namespace, and for no others: nodes of one cluster may be in many. */
  readonly place: string;
  readonly pods: Pick<TaskPods, 'list' | 'remove'>;
  readonly onReaped: (name: string) => void;
  readonly onError: (error: unknown) => void;
}

const EVERY_MS = 30_000;

/**
 * Deletes pods whose claims do not stand any more, until the signal fires: those of nodes that have died, and those that could
 * not be deleted in their time. One node does it for all of a namespace, and another when that one is lost or cannot.
 */
export async function reapPods(parts: ReapPodsParts, signal: AbortSignal): Promise<void> {
  const { cluster, applicant, place, onError } = parts;
  const name = `pods.${createHash('sha256').update(place).digest('hex').slice(0, 16)}`;
  const work = (post: Post, held: AbortSignal) => reapWhileHeld(parts, post, held);
  await holdPost(cluster, name, applicant, work, onError, signal);
}

/** Whoever cannot do it leaves it to others, and is there again when none of them has taken it. */
async function reapWhileHeld(parts: ReapPodsParts, post: Post, signal: AbortSignal): Promise<void> {
  const { cluster, onError } = parts;
  const { clock, chance } = cluster;
  for (let isAble = true; isAble && !signal.aborted; ) {
    try {
      await reapOnce(parts, signal);
    } catch (error) {
      if (signal.aborted || !isCiError(error)) throw error;
      onError(error);
      isAble = false;
      await leavePost(cluster, post, signal);
    }
    await clock.sleep(EVERY_MS * (0.5 + chance.random()), signal).catch(() => undefined);
  }
}

/**
 * A pod is made after its claim: one that is there now and has none had lost it before we asked. One that cannot be deleted is not in
 * the way of others.
 */
async function reapOnce({ cluster, pods, onReaped, onError }: ReapPodsParts, signal: AbortSignal): Promise<void> {
  for (const pod of await pods.list(undefined, signal)) {
    const attempt = attemptOf(pod);
    if (!attempt || pod.metadata.deletionTimestamp !== undefined) continue;
    if (await isClaimed(cluster, attempt.task, attempt.fence, signal)) continue;
    try {
      await pods.remove(refOf(pod), signal);
      onReaped(pod.metadata.name);
    } catch (error) {
      if (signal.aborted || !isCiError(error)) throw error;
      onError(error);
    }
  }
}

/** Whether the claim with that fence still stands. */
async function isClaimed(
  { keys, store }: ReapPodsParts['cluster'],
  task: TaskId,
  fence: Fence,
  signal: AbortSignal,
): Promise<boolean> {
  const request = { key: keys.lock(task), limit: 1, keysOnly: true };
  const { records } = await store.range(request, { signal, timeoutMs: CALL_TIMEOUT_MS });
  return records[0]?.createRevision === fence;
}
