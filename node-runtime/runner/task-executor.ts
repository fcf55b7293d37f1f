import { CiError, describeError, isCiError } from '../../shared/errors.ts';
import { formatDuration, parseDuration } from '../../shared/duration.ts';
import type { StepResult } from '../../shared/result.ts';
import { DEFAULT_TIMEOUT_MS, type Source, type Step } from '../../shared/task.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Session } from '../cluster/session.ts';
import type { LogSummary, LogWriter, Logs } from '../logs/logs.ts';
import type { Claim } from '../queue/records.ts';
import { readTaskState } from '../queue/records.ts';
import { type Clock, deadline, neverAborted } from '../system/clock.ts';
import { retry } from '../system/retry.ts';
import { type Collected, collectArtifacts } from './collect-artifacts.ts';
import { type AttemptOutcome, type AttemptStop, type Executor, stopReason, type Verdict } from './executor.ts';
import { type Pump, runStep, type StepEnding, type StepLimits } from './run-step.ts';
import type { Sandbox, Supervisor } from './sandbox.ts';
import { stepCommand, writeScripts } from './step-command.ts';
import { stepEnvironment } from './task-environment.ts';

export interface TaskExecutorOptions {
  readonly cluster: Cluster;
  readonly logs: Logs;
  readonly supervisor: () => Supervisor;
  readonly session: () => Session | undefined;
  readonly readSecrets: (names: readonly string[], signal: AbortSignal) => Promise<ReadonlyMap<string, string>>;
  /** Puts the task's files into the sandbox's workspace, and tells the commit if there is one. */
  readonly prepareSource: PrepareSource;
}

export type PrepareSource = (
  context: { cluster: Cluster; claim: Claim; sandbox: Sandbox; log: LogWriter },
  signal: AbortSignal,
) => Promise<string | undefined>;

/** Without an acknowledged renewal for this long a task may be frozen, or soon be. The supervisor's own limit is 20 s. */
const MAY_BE_FROZEN_AFTER_MS = 15_000;
/** How long storing artifacts and the rest of the log may take after a task was told to stop, in milliseconds. */
const WIND_UP_MS = 30_000;

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
      if (stop.aborted) return unfinishedBy(stopReason(stop));
      if (isCiError(error) && error.code === 'invalid') return { kind: 'finished', verdict: invalid(error) };
      return { kind: 'unfinished', end: 'infrastructure', message: describeError(error) };
    }
  }

  async #execute(claim: Claim, stop: AbortSignal): Promise<AttemptOutcome> {
    const { cluster, logs } = this.#options;
    const supervisor = this.#options.supervisor();
    const secrets = await this.#options.readSecrets(claim.task.secrets ?? [], stop);
    await using log = logs.open({ task: claim.id, fence: claim.fence }, [...secrets.values()]);
    await using sandbox = await supervisor.open({ task: claim.id, fence: claim.fence });
    const broken = AbortSignal.any([log.failed, supervisor.lost]);
    await writeScripts(sandbox, claim.task.steps);
    const attempt = new Attempt(cluster, claim, log, sandbox, secrets, AbortSignal.any([stop, broken]), () =>
      this.#mayBeFrozen(),
    );
    using _thaw = this.#thawWhenRecovered(claim, sandbox);
    const commit = await this.#prepare(attempt);
    if (commit instanceof Error) return await this.#failSource(commit, log, stop);
    await attempt.runSteps();
    await sandbox.kill();
    await Promise.all(attempt.pumps.map(pump => pump.catch(() => undefined)));
    if (supervisor.lost.aborted)
      return { kind: 'unfinished', end: 'crashed', message: 'The supervisor process was lost' };
    if (log.failed.aborted)
      return { kind: 'unfinished', end: 'infrastructure', message: describeError(log.failed.reason) };
    if (stop.aborted && stopReason(stop).why !== 'cancelled') return unfinishedBy(stopReason(stop));
    return await attempt.wrapUp(commit, stop);
  }

  async #prepare(attempt: Attempt): Promise<string | undefined | CiError> {
    const { cluster, claim, sandbox, log } = attempt;
    try {
      return await this.#options.prepareSource({ cluster, claim, sandbox, log }, attempt.stop);
    } catch (error) {
      if (!attempt.stop.aborted && isCiError(error) && isFinal(error, claim.task.source)) return error;
      throw error;
    }
  }

  /** A source that will be no different next time is the task's own end. */
  async #failSource(error: Error, log: LogWriter, stop: AbortSignal): Promise<AttemptOutcome> {
    log.mark('note', error.message);
    const summary = await log.finish();
    if (stop.aborted) return unfinishedBy(stopReason(stop));
    const verdict: Verdict = {
      outcome: 'invalid',
      message: error.message,
      steps: [],
      log: summary,
      artifacts: { count: 0, bytes: 0 },
    };
    return { kind: 'finished', verdict };
  }

  #mayBeFrozen(): boolean {
    return (this.#options.session()?.age ?? 0) >= MAY_BE_FROZEN_AFTER_MS;
  }

  /** The supervisor freezes tasks when the store is silent; they go on only when the store has said that the lock is still ours. */
  #thawWhenRecovered(claim: Claim, sandbox: Sandbox): Disposable {
    const ended = new AbortController();
    void this.#thaw(claim, sandbox, ended.signal).catch(error => {
      if (!ended.signal.aborted) throw error;
    });
    return { [Symbol.dispose]: () => ended.abort() };
  }

  async #thaw(claim: Claim, sandbox: Sandbox, signal: AbortSignal): Promise<void> {
    const { cluster, session } = this.#options;
    const own = session();
    if (!own) return;
    const ended = AbortSignal.any([signal, own.lost]);
    const isTransient = (error: unknown) => isCiError(error);
    for (let recovered = own.recovered.wait(ended); ; ) {
      await recovered;
      if (ended.aborted) return;
      // Waited for from now on: the store may fall silent and recover once more while it is asked.
      recovered = own.recovered.wait(ended);
      const rules = { ...cluster, signal: ended, isTransient, limitMs: Number.POSITIVE_INFINITY };
      await retry(() => this.#thawIfHeld(claim, sandbox, ended), rules).catch(error => {
        if (!ended.aborted) throw error;
      });
    }
  }

  async #thawIfHeld(claim: Claim, sandbox: Sandbox, signal: AbortSignal): Promise<void> {
    const { lock } = await readTaskState(this.#options.cluster, claim.id, signal);
    if (lock?.revision === claim.fence) await sandbox.thaw();
  }
}

/** One attempt under way: its steps so far, and what becomes of them. */
class Attempt {
  readonly cluster: Cluster;
  readonly claim: Claim;
  readonly log: LogWriter;
  readonly sandbox: Sandbox;
  readonly stop: AbortSignal;
  readonly pumps: Pump[] = [];
  readonly #mayBeFrozen: () => boolean;
  readonly #secrets: ReadonlyMap<string, string>;
  readonly #steps: StepResult[] = [];
  #started: number | undefined;
  /** The first ending that decides the task: later steps are skipped. */
  #deciding: { step: Step; at: number; ending: StepEnding } | undefined;

  constructor(
    cluster: Cluster,
    claim: Claim,
    log: LogWriter,
    sandbox: Sandbox,
    secrets: ReadonlyMap<string, string>,
    stop: AbortSignal,
    mayBeFrozen: () => boolean,
  ) {
    this.cluster = cluster;
    this.claim = claim;
    this.log = log;
    this.sandbox = sandbox;
    this.stop = stop;
    this.#secrets = secrets;
    this.#mayBeFrozen = mayBeFrozen;
  }

  async runSteps(): Promise<void> {
    const { task } = this.claim;
    const timeoutMs = task.timeout === undefined ? DEFAULT_TIMEOUT_MS : parseDuration(task.timeout);
    using limit = deadline(this.cluster.clock, timeoutMs, neverAborted);
    for (const [at, step] of task.steps.entries()) {
      if (this.#deciding) this.#steps.push({ name: nameOf(step), outcome: 'skipped' });
      else await this.#runStep(step, at, { taskTimeout: limit.signal, taskTimeoutMs: timeoutMs });
    }
  }

  async #runStep(step: Step, at: number, limits: Pick<StepLimits, 'taskTimeout' | 'taskTimeoutMs'>): Promise<void> {
    const { cluster, claim, log, sandbox, stop } = this;
    const mayBeFrozen = this.#mayBeFrozen;
    const started = cluster.clock.now();
    this.#started ??= started;
    log.mark('step-started', nameOf(step), at);
    const env = stepEnvironment(cluster, claim, sandbox.inside, this.#secrets, step);
    const command = await stepCommand(sandbox, claim.task, step, at, env);
    const idleMs = claim.task.idleTimeout === undefined ? 0 : parseDuration(claim.task.idleTimeout);
    const ending = stop.aborted
      ? ({ outcome: 'cancelled', message: String(stop.reason?.message ?? 'Stopped') } as const)
      : await runStep(cluster.clock, sandbox, log, command, { step, ...limits, idleMs, stop, mayBeFrozen }, this.pumps);
    const { message, ...result } = ending;
    log.mark('step-finished', message === '' ? ending.outcome : `${ending.outcome}: ${message}`, at);
    this.#steps.push({ name: nameOf(step), ...result, started, finished: cluster.clock.now() });
    const isForgiven = ending.outcome === 'failed' && step.continueOnError === true;
    if (ending.outcome !== 'passed' && !isForgiven) this.#deciding = { step, at, ending };
  }

  /** Keeps artifacts and the rest of the log, and gives the verdict. */
  async wrapUp(commit: string | undefined, stop: AbortSignal): Promise<AttemptOutcome> {
    using limit = windUpLimit(this.cluster.clock, stop);
    const collected = await this.#collect(limit.signal);
    if (isLost(stop)) return { kind: 'lost' };
    const summary = await this.log.finish();
    if (this.#deciding?.ending.outcome === 'crashed')
      return { kind: 'unfinished', end: 'crashed', message: this.#deciding.ending.message };
    return { kind: 'finished', verdict: this.#verdict(commit, collected, summary) };
  }

  async #collect(signal: AbortSignal): Promise<Collected | CiError> {
    try {
      const collected = await collectArtifacts(this.cluster, this.claim, this.sandbox.folders.workspace, signal);
      for (const pattern of collected.unmatched)
        this.log.mark('note', `No file matches the artifact pattern ${JSON.stringify(pattern)}`);
      return collected;
    } catch (error) {
      if (!isCiError(error, 'invalid')) throw error;
      this.log.mark('note', error.message);
      return error;
    }
  }

  #verdict(commit: string | undefined, collected: Collected | CiError, log: LogSummary): Verdict {
    const { outcome, message } = this.#conclusion(collected);
    return {
      outcome,
      message,
      steps: this.#steps,
      log,
      artifacts: collected instanceof Error ? { count: 0, bytes: 0 } : bare(collected),
      ...(this.#started !== undefined && { started: this.#started }),
      ...(commit !== undefined && { commit }),
    };
  }

  #conclusion(collected: Collected | CiError): Pick<Verdict, 'outcome' | 'message'> {
    if (this.#deciding) {
      const { step, at, ending } = this.#deciding;
      if (ending.outcome === 'cancelled') return { outcome: 'cancelled', message: ending.message };
      return {
        outcome: ending.outcome as Verdict['outcome'],
        message: `Step ${at + 1} "${nameOf(step)}": ${ending.message}`,
      };
    }
    if (collected instanceof Error) return { outcome: 'failed', message: collected.message };
    const count = this.#steps.length;
    return { outcome: 'passed', message: count === 1 ? 'Its step passed' : `All ${count} steps passed` };
  }
}

/** Fires when artifacts have taken too long: sooner when the attempt was stopped, at once when its claim is lost. */
function windUpLimit(clock: Clock, stop: AbortSignal): { readonly signal: AbortSignal } & Disposable {
  const ended = new AbortController();
  const over = new AbortController();
  const endAfter = (ms: number) =>
    void clock.sleep(ms, ended.signal).then(
      () =>
        over.abort(
          new CiError('unavailable', `Cannot keep the artifacts as that took longer than ${formatDuration(ms)}`),
        ),
      () => undefined,
    );
  const stopped = () => endAfter(isLost(stop) ? 0 : WIND_UP_MS);
  if (stop.aborted) stopped();
  else stop.addEventListener('abort', stopped, { once: true, signal: ended.signal });
  endAfter(DEFAULT_TIMEOUT_MS);
  return { signal: over.signal, [Symbol.dispose]: () => ended.abort() };
}

function isLost(stop: AbortSignal): boolean {
  return stop.aborted && stopReason(stop).why === 'lost';
}

function bare({ count, bytes, sha256 }: Collected) {
  return { count, bytes, ...(sha256 !== undefined && { sha256 }) };
}

/** What a step is called: its name, else the first line of its command. */
function nameOf(step: Step): string {
  const line = step.name ?? step.run.trim().split('\n')[0] ?? '';
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

/** An object store that knows no such bucket or refuses our credentials says nothing about the task; a git server does. */
function isFinal({ code }: CiError, source: Source | undefined): boolean {
  return code === 'invalid' || code === 'gone' || (source?.type === 'git' && FINAL_OF_GIT.has(code));
}

const FINAL_OF_GIT: ReadonlySet<string> = new Set(['not-found', 'forbidden']);

function invalid(error: CiError): Verdict {
  return {
    outcome: 'invalid',
    message: error.message,
    steps: [],
    log: { bytes: 0, lines: 0 },
    artifacts: { count: 0, bytes: 0 },
  };
}

function unfinishedBy(stop: AttemptStop): AttemptOutcome {
  switch (stop.why) {
    case 'lost':
      return { kind: 'lost' };
    case 'drained':
      return { kind: 'unfinished', end: 'drained', message: stop.message };
    case 'cancelled':
      return {
        kind: 'finished',
        verdict: {
          outcome: 'cancelled',
          message: stop.message,
          steps: [],
          log: { bytes: 0, lines: 0 },
          artifacts: { count: 0, bytes: 0 },
        },
      };
  }
}
