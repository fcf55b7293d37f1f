import { type ErrorCode, isCiError } from '../../shared/errors.ts';
import type { TaskResult } from '../../shared/result.ts';
import { FORMAT_VERSION } from '../../shared/task.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Session } from '../cluster/session.ts';
import { completeTask } from '../queue/complete.ts';
import type { Claim } from '../queue/records.ts';
import { releaseTask } from '../queue/release.ts';
import { retry } from '../system/retry.ts';
import { AttemptStop, type Executor, type UnfinishedEnd, type Verdict } from './executor.ts';
import { watchClaim } from './watch-claim.ts';

export interface AttemptContext {
  readonly cluster: Cluster;
  readonly session: Session;
  readonly executor: Executor;
  /** Fires when the node drains and waits no longer: the attempt is handed back. */
  readonly handBack: AbortSignal;
  /** Called when the task has its verdict and nothing of it runs any more: what remains is to record that. */
  readonly onExecuted: () => void;
}

/** How an attempt ended, for metrics and the node's own log. */
export type AttemptEnding =
  | { readonly kind: 'completed'; readonly result: TaskResult }
  | { readonly kind: 'released'; readonly end: UnfinishedEnd; readonly message: string }
  | { readonly kind: 'fenced' };

/**
 * What happens to a claimed task: it is executed while its claim is watched, and then completed or handed back. Whatever is
 * written at the end is written under the fence: if the claim was lost meanwhile, nothing is.
 */
export async function runAttempt(context: AttemptContext, claim: Claim): Promise<AttemptEnding> {
  const { cluster, session, executor } = context;
  const stop = new AbortController();
  const watching = new AbortController();
  const handBack = () => stop.abort(new AttemptStop('drained', 'The node drains'));
  stop.signal.addEventListener('abort', () => watching.abort('the attempt is stopped'), { once: true });
  if (context.handBack.aborted) handBack();
  context.handBack.addEventListener('abort', handBack, { once: true });
  const watch = watchClaim(cluster, session, claim, stop, watching.signal);
  try {
    const outcome = await executor.execute(claim, stop.signal);
    if (outcome.kind === 'lost') return { kind: 'fenced' };
    if (outcome.kind === 'finished') {
      context.onExecuted();
      return await complete(cluster, session, claim, outcome.verdict);
    }
    const { end, message } = outcome;
    const charged = end === 'source' || end === 'place' ? 'infrastructure' : end;
    await untilDone(cluster, session, () => releaseTask(cluster, claim, charged, message, session.lost));
    return { kind: 'released', end, message };
  } catch (error) {
    if (session.lost.aborted) return { kind: 'fenced' };
    throw error;
  } finally {
    context.handBack.removeEventListener('abort', handBack);
    watching.abort('the attempt has ended');
    await watch;
  }
}

async function complete(cluster: Cluster, session: Session, claim: Claim, verdict: Verdict): Promise<AttemptEnding> {
  const result = resultOf(cluster, claim, verdict);
  const end = await untilDone(cluster, session, () => completeTask(cluster, claim, result, session.lost));
  return end === 'completed' ? { kind: 'completed', result } : { kind: 'fenced' };
}

/** What passes when the store is back, or its operators have given this node's user again what it needs. */
const TRANSIENT: readonly ErrorCode[] = ['unavailable', 'ambiguous', 'unauthenticated', 'forbidden'];

/** Tries for as long as the session lives: a store that is away keeps a verdict waiting, not from being recorded. */
function untilDone<T>({ clock, chance }: Cluster, session: Session, operation: () => Promise<T>): Promise<T> {
  const isTransient = (error: unknown) => isCiError(error) && TRANSIENT.includes(error.code);
  return retry(operation, { clock, chance, signal: session.lost, isTransient, limitMs: Number.POSITIVE_INFINITY });
}

function resultOf({ clock }: Cluster, claim: Claim, verdict: Verdict): TaskResult {
  const { outcome, message, started, steps, commit, log, artifacts } = verdict;
  return {
    v: FORMAT_VERSION,
    outcome,
    message,
    fence: claim.fence,
    attempt: claim.lock.attempt,
    node: claim.lock.node,
    instance: claim.lock.instance,
    times: {
      submitted: claim.task.submitted,
      claimed: claim.lock.claimed,
      ...(started !== undefined && { started }),
      finished: clock.now(),
    },
    steps: [...steps],
    ...(commit !== undefined && { commit }),
    log,
    artifacts,
    past: claim.attempts.past,
    task: claim.task,
  };
}
