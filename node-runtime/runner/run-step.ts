import { formatDuration, parseDuration } from '../../shared/duration.ts';
import { CiError } from '../../shared/errors.ts';
import type { StepResult } from '../../shared/result.ts';
import type { Step } from '../../shared/task.ts';
import type { LogWriter } from '../logs/logs.ts';
import type { Clock } from '../system/clock.ts';
import { AttemptStop } from './executor.ts';
import { OutputPump } from './output-pump.ts';
import type { Command, CommandEnd, Sandbox } from './sandbox.ts';
import { ranFor } from './time-limit.ts';

/** How long a command has between being asked to end and being killed, in milliseconds. */
const STOP_GRACE_MS = 10_000;
export interface StepLimits {
  readonly step: Step;
  /** Where it starts, as the task says it. */
  readonly workingDirectory: string;
  /** Fires when the task's own time is over. */
  readonly taskOver: AbortSignal;
  /** After how long that is: for people. */
  readonly taskTimeoutMs: number;
  /** Milliseconds of silence after which the step is stopped; 0: never. */
  readonly idleMs: number;
  /** Cancelled, lost, drained; or its log or its supervisor is gone. */
  readonly stop: AbortSignal;
}

export type StepEnding = Pick<StepResult, 'outcome' | 'exitCode' | 'signal'> & { readonly message: string };

/** Output of commands that outlive their step goes on into the log until the sandbox is killed. */
export type Pump = Promise<void>;

/** Runs one command with its output going to the log, and stops it at the first limit that it passes. */
export async function runStep(
  clock: Clock,
  sandbox: Sandbox,
  log: LogWriter,
  command: Command,
  limits: StepLimits,
  pumps: Pump[],
): Promise<StepEnding> {
  const running = sandbox.run(command);
  const output = new OutputPump(clock, running.output, bytes => log.write(bytes));
  pumps.push(output.done);
  const over = new AbortController();
  const limit = watchLimits(clock, sandbox, limits, output, over.signal).then(hit => {
    if (hit) running.stop(graceAfter(limits.stop));
    return hit;
  });
  const end = await running.ended.finally(() => over.abort());
  const hit = await limit;
  await output.drained();
  return hit ? { ...hit, ...exitOf(end) } : endingOf(end, limits.workingDirectory);
}

/** Somebody else may have the task when its claim is lost, and without its log it works for nobody: then it is killed at once. */
function graceAfter(stop: AbortSignal): number {
  if (!stop.aborted) return STOP_GRACE_MS;
  return stop.reason instanceof AttemptStop && stop.reason.why !== 'lost' ? STOP_GRACE_MS : 0;
}

type Limit = { readonly outcome: 'timed-out' | 'idle-timed-out' | 'cancelled'; readonly message: string };

/** The first limit to be passed, or undefined when the command ends within all of them. */
async function watchLimits(
  clock: Clock,
  sandbox: Sandbox,
  { step, idleMs, stop, taskOver, taskTimeoutMs }: StepLimits,
  output: OutputPump,
  over: AbortSignal,
): Promise<Limit | undefined> {
  const first = new AbortController();
  const both = AbortSignal.any([over, first.signal]);
  const began = clock.monotonic();
  const stepMs = step.timeout === undefined ? 0 : parseDuration(step.timeout);
  const within = (ms: number, since: () => number, limit: Limit) =>
    ms > 0 ? [when(ranFor(clock, sandbox, ms, since, both), () => limit)] : [];
  const silent: Limit = { outcome: 'idle-timed-out', message: `It printed nothing for ${formatDuration(idleMs)}` };
  const watches = [
    when(fired(stop, both), () => ({ outcome: 'cancelled', message: String(stop.reason?.message ?? 'Stopped') })),
    when(fired(taskOver, both), () => timedOut('The task', taskTimeoutMs)),
    ...within(stepMs, () => began, timedOut('It', stepMs)),
    ...within(idleMs, () => output.lastHeard, silent),
  ];
  const hit = await Promise.race(watches);
  first.abort();
  await Promise.all(watches);
  return hit;
}

function timedOut(what: string, timeoutMs: number): Limit {
  return { outcome: 'timed-out', message: `${what} ran longer than its timeout of ${formatDuration(timeoutMs)}` };
}

async function when(isHit: Promise<boolean>, limit: () => Limit): Promise<Limit | undefined> {
  return (await isHit) ? limit() : undefined;
}

async function fired(signal: AbortSignal, end: AbortSignal): Promise<boolean> {
  if (signal.aborted) return true;
  if (end.aborted) return false;
  return new Promise(resolve => {
    const done = () => {
      signal.removeEventListener('abort', done);
      end.removeEventListener('abort', done);
      resolve(signal.aborted);
    };
    signal.addEventListener('abort', done, { once: true });
    end.addEventListener('abort', done, { once: true });
  });
}

function exitOf(end: CommandEnd): Pick<StepResult, 'exitCode' | 'signal'> {
  if (end.kind === 'exited') return { exitCode: end.code };
  return end.kind === 'killed' ? { signal: end.signal } : {};
}

function endingOf(end: CommandEnd, workingDirectory: string): StepEnding {
  switch (end.kind) {
    case 'exited':
      if (end.code === 0) return { outcome: 'passed', exitCode: 0, message: '' };
      return { outcome: 'failed', exitCode: end.code, message: `It exited with code ${end.code}` };
    case 'killed':
      // Nobody here has asked for it: it is the supervisor's own rule.
      if (end.byUs)
        throw new CiError('unavailable', 'Cannot go on with the task as it was frozen for too long and killed');
      // A signal that nobody here has sent: out of memory, most often. Its own crash (a fault, an abort) is the task's fault.
      if (end.signal === 'SIGKILL')
        return {
          outcome: 'crashed',
          signal: end.signal,
          message: 'It was killed by something else than Simple CI (out of memory?)',
        };
      return { outcome: 'failed', signal: end.signal, message: `It was ended by ${end.signal}` };
    case 'not-started':
      return { outcome: 'failed', message: end.message };
    case 'no-folder':
      return {
        outcome: 'failed',
        message: `Its workingDirectory ${JSON.stringify(workingDirectory)} does not exist in the workspace`,
      };
  }
}
