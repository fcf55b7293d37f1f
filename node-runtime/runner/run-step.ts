import { formatDuration, parseDuration } from '../../shared/duration.ts';
import type { StepResult } from '../../shared/result.ts';
import type { Step } from '../../shared/task.ts';
import type { LogWriter } from '../logs/logs.ts';
import { type Clock, deadline, neverAborted } from '../system/clock.ts';
import type { Command, CommandEnd, Sandbox } from './sandbox.ts';

/** How long a command has between being asked to end and being killed, in milliseconds. */
const STOP_GRACE_MS = 10_000;
/** A command that was started by the step and still holds its output does not hold up the next step. */
const OUTPUT_QUIET_MS = 50;
const OUTPUT_DRAIN_LIMIT_MS = 2000;

export interface StepLimits {
  readonly step: Step;
  /** Fires at the task's own end of time. */
  readonly taskTimeout: AbortSignal;
  /** After how long that fires: for people. */
  readonly taskTimeoutMs: number;
  /** Milliseconds of silence after which the step is stopped; 0: never. */
  readonly idleMs: number;
  /** Cancelled, lost, drained. */
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
  const output = new OutputPump(clock, running.output, log);
  pumps.push(output.done);
  const over = new AbortController();
  const limit = watchLimits(clock, limits, output, over.signal).then(hit => {
    if (hit) running.stop(STOP_GRACE_MS);
    return hit;
  });
  const end = await running.ended;
  over.abort();
  const hit = await limit;
  await output.drained();
  return hit ? { ...limitEnding(hit), ...exitOf(end) } : endingOf(end);
}

/** Carries a command's output into the log, and knows when there last was some. */
class OutputPump {
  readonly done: Pump;
  readonly #clock: Clock;
  #lastHeard: number;
  #isDone = false;

  constructor(clock: Clock, output: AsyncIterable<Uint8Array>, log: LogWriter) {
    this.#clock = clock;
    this.#lastHeard = clock.monotonic();
    this.done = this.#run(output, log);
  }

  /** Milliseconds since the last output, or since the start. */
  get silence(): number {
    return this.#clock.monotonic() - this.#lastHeard;
  }

  /** Resolves when what the command has printed before it ended is in the log. */
  async drained(): Promise<void> {
    const limit = this.#clock.monotonic() + OUTPUT_DRAIN_LIMIT_MS;
    while (!this.#isDone && this.#clock.monotonic() < limit) {
      using pause = deadline(this.#clock, OUTPUT_QUIET_MS, neverAborted);
      await Promise.race([this.done, fired(pause.signal, neverAborted)]);
      if (this.silence >= OUTPUT_QUIET_MS) return;
    }
  }

  async #run(output: AsyncIterable<Uint8Array>, log: LogWriter): Promise<void> {
    try {
      for await (const bytes of output) {
        this.#lastHeard = this.#clock.monotonic();
        await log.write(bytes);
      }
    } finally {
      this.#isDone = true;
    }
  }
}

type Limit = { readonly outcome: 'timed-out' | 'idle-timed-out' | 'cancelled'; readonly message: string };

/** The first limit to be passed, or undefined when the command ends within all of them. */
async function watchLimits(
  clock: Clock,
  limits: StepLimits,
  output: OutputPump,
  over: AbortSignal,
): Promise<Limit | undefined> {
  const first = new AbortController();
  const both = AbortSignal.any([over, first.signal]);
  const { step, idleMs, stop, taskTimeout, taskTimeoutMs } = limits;
  const stepMs = step.timeout === undefined ? 0 : parseDuration(step.timeout);
  const cancelled = (): Limit => ({ outcome: 'cancelled', message: String(stop.reason?.message ?? 'Stopped') });
  const timedOut = (message: string) => (): Limit => ({ outcome: 'timed-out', message });
  const idle = (): Limit => ({
    outcome: 'idle-timed-out',
    message: `It printed nothing for ${formatDuration(idleMs)}`,
  });
  const watches = [
    when(fired(stop, both), cancelled),
    when(
      fired(taskTimeout, both),
      timedOut(`The task ran longer than its timeout of ${formatDuration(taskTimeoutMs)}`),
    ),
    ...(stepMs > 0
      ? [when(slept(clock, stepMs, both), timedOut(`It ran longer than its timeout of ${formatDuration(stepMs)}`))]
      : []),
    ...(idleMs > 0 ? [when(silent(clock, idleMs, output, both), idle)] : []),
  ];
  const hit = await Promise.race(watches);
  first.abort();
  await Promise.all(watches);
  return hit;
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

function slept(clock: Clock, ms: number, end: AbortSignal): Promise<boolean> {
  return clock.sleep(ms, end).then(
    () => true,
    () => false,
  );
}

/** Resolves true after `ms` in which no output came. */
async function silent(clock: Clock, ms: number, output: OutputPump, end: AbortSignal): Promise<boolean> {
  while (!end.aborted) {
    const rest = ms - output.silence;
    if (rest <= 0) return true;
    await slept(clock, rest, end);
  }
  return false;
}

function limitEnding({ outcome, message }: Limit): StepEnding {
  return { outcome, message };
}

function exitOf(end: CommandEnd): Pick<StepResult, 'exitCode' | 'signal'> {
  if (end.kind === 'exited') return { exitCode: end.code };
  return end.kind === 'killed' ? { signal: end.signal } : {};
}

function endingOf(end: CommandEnd): StepEnding {
  switch (end.kind) {
    case 'exited':
      if (end.code === 0) return { outcome: 'passed', exitCode: 0, message: '' };
      return { outcome: 'failed', exitCode: end.code, message: `It exited with code ${end.code}` };
    case 'killed':
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
  }
}
