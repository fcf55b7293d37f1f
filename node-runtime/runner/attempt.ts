import { formatDuration, parseDuration } from '../../shared/duration.ts';
import { CiError, isCiError } from '../../shared/errors.ts';
import type { StepResult } from '../../shared/result.ts';
import { DEFAULT_TIMEOUT_MS, type Source, type Step } from '../../shared/task.ts';
import { stepName } from '../../shared/step-name.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { LogWriter } from '../logs/logs.ts';
import { orAborted } from '../objects/until-aborted.ts';
import type { Claim } from '../queue/records.ts';
import { type Clock, deadline } from '../system/clock.ts';
import { type Collected, collectArtifacts } from './collect-artifacts.ts';
import { type AttemptOutcome, AttemptStop, isLost, NOTHING_DONE, type Verdict } from './executor.ts';
import type { PrepareSource } from './prepare-source.ts';
import { type Pump, runStep, type StepEnding, type StepLimits } from './run-step.ts';
import type { Sandbox } from './sandbox.ts';
import { stepCommand, workingDirectoryOf } from './step-command.ts';
import { stepEnvironment } from './task-environment.ts';
import { timeLimit } from './time-limit.ts';

/** How long storing artifacts and the rest of the log may take after a task was told to stop, in milliseconds. */
const WIND_UP_MS = 30_000;
/**
 * How long an attempt that has no verdict waits for its log to be stored, in milliseconds. With the grace of a command that is
 * told to stop, it stays below what a node that drains has for handing back.
 */
const KEEP_LOG_MS = 15_000;

export interface AttemptParts {
  readonly cluster: Cluster;
  readonly claim: Claim;
  readonly log: LogWriter;
  readonly sandbox: Sandbox;
  readonly secrets: ReadonlyMap<string, string>;
  /** Puts the task's files into the sandbox's workspace. */
  readonly prepareSource: PrepareSource;
}

/** The limits that all of the attempt has in common. */
type TaskLimits = Omit<StepLimits, 'step' | 'workingDirectory' | 'idleMs'>;

/** What decides the task before its last step has passed. */
type Decision =
  /** It got no files. */
  | { readonly kind: 'source'; readonly outcome: 'invalid' | 'timed-out'; readonly message: string }
  /** Later steps are skipped. */
  | { readonly kind: 'step'; readonly step: Step; readonly at: number; readonly ending: StepEnding };

/** One attempt under way: its files, its steps so far, and what becomes of them. */
export class Attempt {
  readonly #parts: AttemptParts;
  readonly #pumps: Pump[] = [];
  readonly #steps: StepResult[] = [];
  #commit: string | undefined;
  #started: number | undefined;
  #decision: Decision | undefined;

  constructor(parts: AttemptParts) {
    this.#parts = parts;
  }

  /** Prepares the files and runs the steps. Resolves when nothing of them runs any more. */
  async run(stop: AbortSignal): Promise<void> {
    const { cluster, claim, sandbox } = this.#parts;
    const { timeout, steps } = claim.task;
    const taskTimeoutMs = timeout === undefined ? DEFAULT_TIMEOUT_MS : parseDuration(timeout);
    await using limit = timeLimit(cluster.clock, sandbox, taskTimeoutMs);
    const limits: TaskLimits = { taskOver: limit.over, taskTimeoutMs, stop };
    await this.#prepare(limits);
    if (this.#decision?.kind !== 'source')
      for (const [at, step] of steps.entries()) await this.#runOrSkip(step, at, limits);
    await sandbox.kill();
  }

  /** Keeps artifacts and the rest of the log, and gives the verdict. An attempt that has none keeps its log by `keepLog`. */
  async wrapUp(stop: AbortSignal): Promise<AttemptOutcome> {
    using limit = windUpLimit(this.#parts.cluster.clock, stop);
    await this.#printed();
    const collected = await this.#collect(limit.signal);
    if (isLost(stop)) return { kind: 'lost' };
    if (this.#decision?.kind === 'step' && this.#decision.ending.outcome === 'crashed')
      return { kind: 'unfinished', end: 'crashed', message: this.#decision.ending.message };
    const log = await this.#parts.log.finish();
    const verdict: Verdict = {
      ...this.#conclusion(collected),
      steps: this.#steps,
      log,
      artifacts: collected instanceof Error ? NOTHING_DONE.artifacts : bare(collected),
      ...(this.#started !== undefined && { started: this.#started }),
      ...(this.#commit !== undefined && { commit: this.#commit }),
    };
    return { kind: 'finished', verdict };
  }

  /**
   * Stores the log of an attempt that has no verdict, with a note of why: followers have seen it already. A store that does
   * not take it in time keeps nobody from trying again.
   */
  async keepLog(note: string): Promise<void> {
    const { cluster, log, sandbox } = this.#parts;
    const stored = async () => {
      await sandbox.kill();
      await this.#printed();
      log.mark('note', note);
      await log.finish();
    };
    using limit = deadline(cluster.clock, KEEP_LOG_MS, log.failed);
    await orAborted(stored(), limit.signal).catch(() => undefined);
  }

  /** Resolves when all that was printed is in the log, or never will be. */
  async #printed(): Promise<void> {
    await Promise.all(this.#pumps.map(pump => pump.catch(() => undefined)));
  }

  /** A source that will be no different next time, or that takes all of the task's time, is the task's own end. */
  async #prepare({ taskOver, taskTimeoutMs, stop }: TaskLimits): Promise<void> {
    const { claim, log, prepareSource, sandbox } = this.#parts;
    const ended = AbortSignal.any([stop, taskOver]);
    try {
      this.#commit = await prepareSource(this.#parts, ended);
      await sandbox.handOver(ended);
    } catch (error) {
      if (stop.aborted) throw error;
      if (taskOver.aborted) {
        const message = `Cannot prepare the source as that took longer than the task's timeout of ${formatDuration(taskTimeoutMs)}`;
        this.#decision = { kind: 'source', outcome: 'timed-out', message };
      } else if (isCiError(error) && isFinal(error, claim.task.source)) {
        this.#decision = { kind: 'source', outcome: 'invalid', message: error.message };
      } else throw error;
      log.mark('note', this.#decision.message);
    }
  }

  async #runOrSkip(step: Step, at: number, limits: TaskLimits): Promise<void> {
    if (this.#decision) {
      this.#steps.push({ name: stepName(step), outcome: 'skipped' });
      return;
    }
    const { cluster, log } = this.#parts;
    const started = cluster.clock.now();
    this.#started ??= started;
    log.mark('step-started', stepName(step), at);
    const ending = await this.#runStep(step, at, limits);
    const { message, ...result } = ending;
    log.mark('step-finished', endText(ending, limits.stop), at);
    this.#steps.push({ name: stepName(step), ...result, started, finished: cluster.clock.now() });
    const isForgiven = ending.outcome === 'failed' && step.continueOnError === true;
    if (ending.outcome !== 'passed' && !isForgiven) this.#decision = { kind: 'step', step, at, ending };
  }

  async #runStep(step: Step, at: number, limits: TaskLimits): Promise<StepEnding> {
    const { cluster, claim, log, sandbox, secrets } = this.#parts;
    const { stop } = limits;
    const system = await sandbox.system();
    const env = stepEnvironment(cluster, claim, sandbox.inside, system, secrets, step);
    const command = stepCommand(sandbox, system, claim.task, step, at, env);
    if (stop.aborted) return { outcome: 'cancelled', message: String(stop.reason?.message ?? 'Stopped') };
    const idleMs = claim.task.idleTimeout === undefined ? 0 : parseDuration(claim.task.idleTimeout);
    const workingDirectory = workingDirectoryOf(claim.task, step);
    const stepLimits = { ...limits, step, workingDirectory, idleMs };
    return runStep(cluster.clock, sandbox, log, command, stepLimits, this.#pumps);
  }

  async #collect(signal: AbortSignal): Promise<Collected | CiError> {
    const { cluster, claim, log, sandbox } = this.#parts;
    if (this.#decision?.kind === 'source') return { ...NOTHING_DONE.artifacts, unmatched: [] };
    try {
      await sandbox.bringBack(claim.task.artifacts ?? [], signal);
      const collected = await collectArtifacts(cluster, claim, sandbox.folders.workspace, signal);
      for (const pattern of collected.unmatched)
        log.mark('note', `No file matches the artifact pattern ${JSON.stringify(pattern)}`);
      return collected;
    } catch (error) {
      if (!isCiError(error, 'invalid')) throw error;
      log.mark('note', error.message);
      return error;
    }
  }

  #conclusion(collected: Collected | CiError): Pick<Verdict, 'outcome' | 'message'> {
    const decision = this.#decision;
    if (decision?.kind === 'source') return { outcome: decision.outcome, message: decision.message };
    if (decision) {
      const { step, at, ending } = decision;
      if (ending.outcome === 'cancelled') return { outcome: 'cancelled', message: ending.message };
      return {
        outcome: ending.outcome as Verdict['outcome'],
        message: `Step ${at + 1} "${stepName(step)}": ${ending.message}`,
      };
    }
    if (collected instanceof Error) return { outcome: 'failed', message: collected.message };
    const count = this.#steps.length;
    return { outcome: 'passed', message: count === 1 ? 'Its step passed' : `All ${count} steps passed` };
  }
}

/** Of a step whose attempt was stopped though nobody cancelled the task, its outcome would say so. */
function endText({ outcome, message }: StepEnding, stop: AbortSignal): string {
  const { reason } = stop;
  const isCancelled = reason instanceof AttemptStop && reason.why === 'cancelled';
  return [outcome === 'cancelled' && !isCancelled ? 'stopped' : outcome, message]
    .filter(text => text !== '')
    .join(': ');
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

function bare({ count, bytes, sha256 }: Collected) {
  return { count, bytes, ...(sha256 !== undefined && { sha256 }) };
}

/** An object store that knows no such bucket or refuses our credentials says nothing about the task; a git server does. */
function isFinal({ code }: CiError, source: Source | undefined): boolean {
  return code === 'invalid' || code === 'gone' || (source?.type === 'git' && FINAL_OF_GIT.has(code));
}

const FINAL_OF_GIT: ReadonlySet<string> = new Set(['not-found', 'forbidden']);
