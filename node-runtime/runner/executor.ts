import type { Outcome, StepResult } from '../../shared/result.ts';
import type { Claim } from '../queue/records.ts';

/** Runs one attempt of a claimed task. What becomes of the claim is not its business. */
export interface Executor {
  /**
   * Resolves when nothing of the attempt runs any more. Never rejects for what a task, a sandbox or a store does.
   * @param stop fires when the attempt must end early, with an AttemptStop as its reason
   */
  execute(claim: Claim, stop: AbortSignal): Promise<AttemptOutcome>;
}

export type AttemptOutcome =
  /** The task has a verdict. */
  | { readonly kind: 'finished'; readonly verdict: Verdict }
  /** It has none, by no fault of its own or by a crash that may pass: somebody may try again. */
  | { readonly kind: 'unfinished'; readonly end: UnfinishedEnd; readonly message: string }
  /** The claim is no longer ours: there is nobody to report to. */
  | { readonly kind: 'lost' };

/**
 * What kept an attempt from a verdict. `source`: the task's own source could not be had. `place`: what it ran in was taken
 * away, such as a pod that was evicted. Both cost the task what `infrastructure` does, but the node is not to blame.
 */
export type UnfinishedEnd = 'drained' | 'infrastructure' | 'source' | 'place' | 'crashed';

export interface Verdict {
  readonly outcome: Exclude<Outcome, 'dead-lettered' | 'infrastructure-lost'>;
  readonly message: string;
  readonly started?: number;
  readonly steps: readonly StepResult[];
  readonly commit?: string;
  readonly log: { readonly bytes: number; readonly lines: number };
  readonly artifacts: { readonly count: number; readonly bytes: number; readonly sha256?: string };
}

export type StopReason =
  /** Somebody asked for it. */
  | 'cancelled'
  /** The claim is gone: another node may be at it already. */
  | 'lost'
  /** The node drains and its time is up. */
  | 'drained';

/** Why an attempt was told to end early. */
export class AttemptStop extends Error {
  override readonly name = 'AttemptStop';
  readonly why: StopReason;
  constructor(why: StopReason, message: string) {
    super(message);
    this.why = why;
  }
}

/** The reason a `stop` signal fired with. */
export function stopReason(stop: AbortSignal): AttemptStop {
  if (stop.reason instanceof AttemptStop) return stop.reason;
  throw new Error('An attempt was stopped without an AttemptStop', { cause: stop.reason });
}

export function isLost(stop: AbortSignal): boolean {
  return stop.aborted && stopReason(stop).why === 'lost';
}

/** The part of a verdict on a task that did nothing. */
export const NOTHING_DONE: Pick<Verdict, 'steps' | 'log' | 'artifacts'> = {
  steps: [],
  log: { bytes: 0, lines: 0 },
  artifacts: { count: 0, bytes: 0 },
};
