import type { Fence, TaskId } from '../../shared/ids.ts';
import type { Chance } from '../system/chance.ts';
import type { Clock } from '../system/clock.ts';
import { attemptOf, refOf, type TaskPods } from './task-pods.ts';

export interface ReapPodsParts {
  readonly pods: TaskPods;
  /** Whether the claim with that fence still stands. */
  readonly isClaimed: (task: TaskId, fence: Fence, signal: AbortSignal) => Promise<boolean>;
  readonly onReaped: (name: string) => void;
  readonly onError: (error: unknown) => void;
  readonly clock: Clock;
  readonly chance: Chance;
}

const EVERY_MS = 30_000;

/**
 * Deletes pods whose claims do not stand any more, until the signal fires: those of nodes that have died, and those that could
 * not be deleted in their time. All nodes do it, as none may be there to do it for another.
 */
export async function reapPods(parts: ReapPodsParts, signal: AbortSignal): Promise<void> {
  const { clock, chance, onError } = parts;
  while (!signal.aborted) {
    await reapOnce(parts, signal).catch((error: unknown) => {
      if (!signal.aborted) onError(error);
    });
    await clock.sleep(EVERY_MS * (0.5 + chance.random()), signal).catch(() => undefined);
  }
}

/** A pod is made after its claim: one that is there now and has none had lost it before we asked. */
async function reapOnce({ pods, isClaimed, onReaped }: ReapPodsParts, signal: AbortSignal): Promise<void> {
  for (const pod of await pods.list(undefined, signal)) {
    const attempt = attemptOf(pod);
    if (!attempt || pod.metadata.deletionTimestamp !== undefined) continue;
    if (await isClaimed(attempt.task, attempt.fence, signal)) continue;
    await pods.remove(refOf(pod), signal);
    onReaped(pod.metadata.name);
  }
}
