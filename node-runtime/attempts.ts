import type { TaskId } from '../shared/ids.ts';
import type { Cluster } from './cluster/cluster.ts';
import type { Session } from './cluster/session.ts';
import type { NodeHealth } from './queue/node-health.ts';
import type { Claim } from './queue/records.ts';
import type { RestingTasks } from './queue/resting-tasks.ts';
import { taskTrace } from './queue/task-trace.ts';
import type { Executor } from './runner/executor.ts';
import { type AttemptEnding, runAttempt } from './runner/run-attempt.ts';
import type { Logger } from './system/logger.ts';
import type { Metrics } from './system/metrics.ts';
import type { SpanSink } from './system/span.ts';

interface AttemptsParts {
  readonly cluster: Cluster;
  readonly executor: Executor;
  readonly health: NodeHealth;
  readonly resting: RestingTasks;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly traces?: SpanSink;
  /** Fires when what runs is to be handed back. */
  readonly handBack: AbortSignal;
  /** One has begun or ended. */
  readonly onChanged: () => void;
  /** One was ended by a bug of the node. */
  readonly onBug: (error: unknown) => void;
}

/** The attempts of a node that are under way, and what metrics, logs and the next claims learn of them. */
export class Attempts {
  readonly #parts: AttemptsParts;
  readonly #running = new Set<Promise<void>>();

  constructor(parts: AttemptsParts) {
    this.#parts = parts;
  }

  get isEmpty(): boolean {
    return this.#running.size === 0;
  }

  /** Resolves when none is under way any more. */
  async ended(): Promise<void> {
    while (!this.isEmpty) await Promise.all(this.#running);
  }

  /** Runs what was claimed, to the attempt's end. Never rejects. `onExecuted`: its slots are free again. */
  async run(claim: Claim, session: Session, onExecuted: () => void): Promise<void> {
    const attempt = this.#attempt(claim, session, onExecuted);
    this.#running.add(attempt);
    this.#parts.onChanged();
    await attempt.finally(() => this.#running.delete(attempt));
    this.#parts.onChanged();
  }

  /** A bug in one attempt ends that attempt, and its claim with the lease of a node that is told to stop. */
  async #attempt(claim: Claim, session: Session, onExecuted: () => void): Promise<void> {
    const { cluster, executor, handBack, metrics, logger, onBug } = this.#parts;
    metrics.running.inc();
    metrics.claimLatency.observe(Math.max(0, claim.lock.claimed - claim.task.submitted) / 1000);
    logger.info('Claimed', { ...nameOf(claim), name: claim.task.name });
    try {
      this.#note(claim, await runAttempt({ cluster, session, executor, handBack, onExecuted }, claim));
    } catch (error) {
      logger.error('An attempt failed by a bug in the node: the node stops, so that others can take the task', {
        ...nameOf(claim),
        error,
      });
      onBug(error);
    } finally {
      metrics.running.dec();
    }
  }

  #note(claim: Claim, ending: AttemptEnding): void {
    if (ending.kind === 'completed') this.#noteCompleted(claim, ending.result);
    else this.#noteGivenUp(claim, ending);
  }

  #noteCompleted(claim: Claim, result: Extract<AttemptEnding, { kind: 'completed' }>['result']): void {
    const { cluster, health, metrics, logger, traces } = this.#parts;
    const { outcome, message, times, log } = result;
    health.noteSuccess();
    metrics.tasksCompleted.inc({ outcome });
    metrics.logBytes.inc(log.bytes);
    metrics.taskDuration.observe({ outcome }, Math.max(0, times.finished - claim.lock.claimed) / 1000);
    traces?.add(taskTrace(claim.id, cluster.id, result));
    logger.info('Completed', { ...nameOf(claim), outcome, message });
  }

  #noteGivenUp(claim: Claim, ending: Exclude<AttemptEnding, { kind: 'completed' }>): void {
    const { health, resting, metrics, logger } = this.#parts;
    const end = ending.kind === 'fenced' ? 'lost' : ending.end;
    metrics.attemptsEnded.inc({ end });
    const message = ending.kind === 'released' ? { message: ending.message } : {};
    logger.warn('Gave up an attempt', { ...nameOf(claim), end, ...message });
    if (end === 'infrastructure' && health.noteFailure())
      logger.warn('Claims nothing for a while, as an attempt failed by the fault of this node', {
        ...nameOf(claim),
        seconds: Math.round(health.pauseMs / 1000),
      });
    if (ending.kind === 'released') resting.noteGivenUp(claim.id, health.pauseMs);
  }
}

/** What every line about an attempt is found by. */
function nameOf({ id, lock, fence }: Claim): { task: TaskId; attempt: number; fence: number } {
  return { task: id, attempt: lock.attempt, fence };
}
