import { parseDuration } from '../../shared/duration.ts';
import { describeError, isCiError } from '../../shared/errors.ts';
import { DEFAULT_TIMEOUT_MS } from '../../shared/task.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Session } from '../cluster/session.ts';
import type { Logs, LogWriter } from '../logs/logs.ts';
import type { Claim } from '../queue/records.ts';
import { orTellNoSpace } from '../system/no-space.ts';
import { SourceUnavailable } from '../workspace/source-unavailable.ts';
import { Attempt } from './attempt.ts';
import { type AttemptOutcome, type AttemptStop, type Executor, NOTHING_DONE, stopReason } from './executor.ts';
import type { PrepareSource } from './prepare-source.ts';
import { type PlaceNeeds, type Sandbox, SandboxLost, type Supervisor } from './sandbox.ts';
import { writeScripts } from './step-command.ts';
import { thawWhenRecovered } from './thaw-when-recovered.ts';

export interface TaskExecutorOptions {
  readonly cluster: Cluster;
  readonly logs: Logs;
  readonly supervisor: () => Supervisor;
  readonly session: () => Session | undefined;
  readonly readSecrets: (names: readonly string[], signal: AbortSignal) => Promise<ReadonlyMap<string, string>>;
  readonly prepareSource: PrepareSource;
}

/** Runs tasks for real: in a sandbox, with their log going to the object store and their artifacts kept. */
export class TaskExecutor implements Executor {
  readonly #options: TaskExecutorOptions;

  constructor(options: TaskExecutorOptions) {
    this.#options = options;
  }

  async execute(claim: Claim, stop: AbortSignal): Promise<AttemptOutcome> {
    try {
      return await this.#execute(claim, stop);
    } catch (error) {
      return outcomeOf(error, stop);
    }
  }

  async #execute(claim: Claim, stop: AbortSignal): Promise<AttemptOutcome> {
    const { cluster, logs, prepareSource } = this.#options;
    const supervisor = this.#options.supervisor();
    const session = this.#options.session();
    const secrets = await this.#options.readSecrets(claim.task.secrets ?? [], stop);
    await using log = logs.open({ task: claim.id, fence: claim.fence }, [...secrets.values()]);
    const needs = needsOf(claim);
    await using sandbox = await supervisor.open(
      { task: claim.id, fence: claim.fence, lease: claim.lease, isFirst: claim.lock.attempt === 1, needs },
      stop,
    );
    using _thaws = session && thawWhenRecovered(cluster, session, claim, sandbox);
    await orTellNoSpace('prepare the task', sandbox.folders.home, () => writeScripts(sandbox, claim.task.steps));
    const attempt = new Attempt({ cluster, claim, log, sandbox, secrets, prepareSource });
    const outcome = await runToEnd(attempt, log, sandbox, stop).catch(error => outcomeOf(error, stop));
    if (outcome.kind === 'unfinished') await attempt.keepLog(noteOf(outcome));
    return outcome;
  }
}

async function runToEnd(
  attempt: Attempt,
  log: LogWriter,
  sandbox: Sandbox,
  stop: AbortSignal,
): Promise<AttemptOutcome> {
  await attempt.run(AbortSignal.any([stop, log.failed, sandbox.lost]));
  // One that was ended by hand as it would not stop was to end anyway.
  if (sandbox.lost.aborted) return outcomeOf(sandbox.lost.reason, stop);
  if (log.failed.aborted)
    return { kind: 'unfinished', end: 'infrastructure', message: describeError(log.failed.reason) };
  if (stop.aborted && stopReason(stop).why !== 'cancelled') return unfinishedBy(stopReason(stop));
  return await attempt.wrapUp(stop);
}

function outcomeOf(error: unknown, stop: AbortSignal): AttemptOutcome {
  if (stop.aborted) return unfinishedBy(stopReason(stop));
  if (isCiError(error, 'invalid'))
    return { kind: 'finished', verdict: { outcome: 'invalid', message: error.message, ...NOTHING_DONE } };
  if (error instanceof SandboxLost) return unfinishedByLoss(error);
  const end = error instanceof SourceUnavailable ? 'source' : 'infrastructure';
  return { kind: 'unfinished', end, message: describeError(error) };
}

function noteOf({ end, message }: Extract<AttemptOutcome, { kind: 'unfinished' }>): string {
  return `${end === 'drained' ? 'Handed back' : 'Given up'} by its node: ${message}`;
}

function unfinishedByLoss({ end, message }: SandboxLost): AttemptOutcome {
  return { kind: 'unfinished', end, message };
}

function unfinishedBy({ why, message }: AttemptStop): AttemptOutcome {
  switch (why) {
    case 'lost':
      return { kind: 'lost' };
    case 'drained':
      return { kind: 'unfinished', end: 'drained', message };
    case 'cancelled':
      return { kind: 'finished', verdict: { outcome: 'cancelled', message, ...NOTHING_DONE } };
  }
}

function needsOf({ task: { image, slots = 1, timeout } }: Claim): PlaceNeeds {
  return { image, slots, timeoutMs: timeout === undefined ? DEFAULT_TIMEOUT_MS : parseDuration(timeout) };
}
