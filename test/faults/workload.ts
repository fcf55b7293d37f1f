import { setTimeout as sleep } from 'node:timers/promises';
import { newTaskId } from '../../shared/ids.ts';
import type { ChaosApi } from './chaos-api.ts';
import type { Draw } from './draw.ts';
import type { Load } from './loads.ts';
import { type Job, drawJob, taskOf } from './task-kinds.ts';

export interface Submission {
  readonly id: string;
  readonly job: Job;
  /** When the cluster has said that it has the task. */
  acknowledgedAt?: number;
  /** When it has said that it will be cancelled. */
  cancelledAt?: number;
}

export interface WorkloadOptions {
  readonly api: ChaosApi;
  readonly draw: Draw;
  readonly witnessPort: number;
  readonly load: Load;
  readonly tasksPerSecond: number;
  /** Ends everything. */
  readonly signal: AbortSignal;
  /** How long a submission may be tried, in milliseconds. One that was never acknowledged is promised nothing. */
  readonly patienceMs: number;
  /** Resolves when a task runs, or has ended. */
  readonly claimed: (id: string, signal: AbortSignal) => Promise<void>;
  /** How many tasks have their result. */
  readonly completed: () => number;
  /** Told of each task that the cluster has said it has. */
  readonly onAcknowledged: (id: string) => void;
  /** A user was refused what nobody should be. */
  readonly onRefused: (id: string, error: Error) => void;
}

/** So many submissions may be waiting for an answer at once: more load than the cluster can take teaches nothing. */
const IN_FLIGHT = 24;

/** Users who submit and cancel, at any node that answers, and say a submission again under its id when they heard nothing. */
export class Workload {
  readonly submissions: Submission[] = [];
  readonly #options: WorkloadOptions;
  readonly #underWay = new Set<Promise<void>>();
  #acknowledged = 0;

  constructor(options: WorkloadOptions) {
    this.#options = options;
  }

  /** Ids of the tasks that the cluster has said it has. */
  get acknowledged(): string[] {
    return this.submissions.filter(({ acknowledgedAt }) => acknowledgedAt !== undefined).map(({ id }) => id);
  }

  /** Ids of those of which it has said that they will be cancelled. */
  get cancelled(): string[] {
    return this.submissions.filter(({ cancelledAt }) => cancelledAt !== undefined).map(({ id }) => id);
  }

  /** Submits at random times until it has been enough; resolves when the last one is acknowledged or given up. */
  async run(enough: AbortSignal): Promise<void> {
    const { draw, load, tasksPerSecond } = this.#options;
    while (!enough.aborted) {
      const pauseMs = (-Math.log(1 - draw.number()) * 1000) / tasksPerSecond;
      await sleep(pauseMs, undefined, { signal: enough }).catch(() => undefined);
      const job = drawJob(draw, load);
      if (!enough.aborted && !this.#isEnough) this.#begin(this.#note(job));
    }
    await Promise.all(this.#underWay);
  }

  /** One task, acknowledged. */
  async submit(job: Job, signal: AbortSignal): Promise<Submission> {
    const submission = this.#note(job);
    await this.#submit(submission, signal);
    return submission;
  }

  get #isEnough(): boolean {
    const { completed, load } = this.#options;
    return this.#underWay.size >= IN_FLIGHT || this.#acknowledged - completed() >= load.mostOpen;
  }

  #note(job: Job): Submission {
    const submission: Submission = { id: newTaskId(5, Date.now(), Math.random), job };
    this.submissions.push(submission);
    return submission;
  }

  #begin(submission: Submission): void {
    const { signal, patienceMs, onRefused } = this.#options;
    const patience = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
    const user = this.#use(submission, patience)
      .catch((error: Error) => {
        if (!patience.aborted) onRefused(submission.id, error);
      })
      .finally(() => this.#underWay.delete(user));
    this.#underWay.add(user);
  }

  async #use(submission: Submission, signal: AbortSignal): Promise<void> {
    await this.#submit(submission, signal);
    if (!submission.job.isCancelled) return;
    await this.#options.claimed(submission.id, signal);
    await this.#options.api.request('POST', `/v1/tasks/${submission.id}/cancel`, undefined, signal);
    submission.cancelledAt = performance.now();
  }

  async #submit(submission: Submission, signal: AbortSignal): Promise<void> {
    const { api, witnessPort, onAcknowledged } = this.#options;
    const task = taskOf(submission.job, witnessPort);
    await api.request('POST', '/v1/tasks', { id: submission.id, task }, signal);
    submission.acknowledgedAt = performance.now();
    this.#acknowledged++;
    onAcknowledged(submission.id);
  }
}
