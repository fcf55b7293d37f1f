import { attemptName, type Claimed, type Completed, type Violation } from './check-tape.ts';
import type { Submission } from './workload.ts';

/** Outcomes that say that the task was at fault, or that somebody wanted its end. */
const ABOUT_THE_TASK: ReadonlySet<string> = new Set(['failed', 'timed-out', 'idle-timed-out', 'invalid', 'cancelled']);

export interface VerdictChecks {
  readonly submissions: readonly Submission[];
  readonly claims: readonly Claimed[];
  readonly completed: ReadonlyMap<string, Completed>;
  /** Whether a task can fail on this node though it does nothing wrong, as its disk was full. */
  readonly isExcused: (nodeId: string) => boolean;
}

/** Holds outcomes against what tasks were made to do: whatever happens to a cluster, it is never a task's fault. */
export function checkVerdicts({ submissions, claims, completed, isExcused }: VerdictChecks): Violation[] {
  const nodes = new Map(claims.map(claim => [attemptName(claim), claim.node]));
  return submissions.flatMap(({ id, job }) => {
    const { outcome, fence } = completed.get(id) ?? {};
    if (outcome === undefined || fence === undefined) return []; // The tape's business.
    const mayFail = job.exitCode !== 0 || isExcused(nodes.get(attemptName({ task: id, fence })) ?? '');
    const isRight =
      (outcome === 'passed' && job.exitCode === 0) ||
      (outcome === 'failed' && mayFail) ||
      (outcome === 'cancelled' && job.isCancelled) ||
      !(outcome === 'passed' || ABOUT_THE_TASK.has(outcome));
    const text = `${outcome}, though it ends with ${job.exitCode}${job.isCancelled ? ' unless it is cancelled' : ''}`;
    return isRight ? [] : [{ invariant: 'verdict', subject: id, text }];
  });
}
