import type { TaskView } from '../../shared/api.ts';
import { describeError, isCiError } from '../../shared/errors.ts';
import type { TaskId } from '../../shared/ids.ts';
import { type Clock, deadline, neverAborted } from '../system/clock.ts';
import type { Connection } from './connect.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode, exitCodeOfError, exitCodeOfOutcome } from './exit-codes.ts';
import { type LogFormat, printLog } from './print-log.ts';
import type { QueueExplanation } from '../../shared/explain-queue.ts';
import { watchQueue } from './queue-status.ts';
import { describeEnd } from './task-end.ts';

export interface FollowOptions {
  readonly json: boolean;
  readonly timestamps: boolean;
}

type Finished = Extract<TaskView, { state: 'finished' }>;

/** Why following ended before the task did. */
class Left extends Error {}

/** A wait shorter than this is not worth a line where lines stay, in milliseconds. */
const SHORT_WAIT_MS = 2000;
/** Where lines stay, one place less in the queue is not worth a line of its own sooner, in milliseconds. */
const SAME_REASON_MS = 30_000;
/** Between the end of the log and the record of the end lies a transaction; asked again after this, in milliseconds. */
const ASK_AGAIN_MS = 100;
const CANCEL_LIMIT_MS = 10_000;

/**
 * Shows a task from its submission to its end: why it waits, its log, its outcome. Ctrl-C cancels it and waits for its end;
 * a second one leaves. So does a terminal that is closed, if the task would die with this process; on a cluster it goes on.
 */
export async function followTask(
  context: CliContext,
  connection: Connection,
  view: TaskView,
  options: FollowOptions,
): Promise<ExitCode> {
  const id = view.id as TaskId;
  const leave = new AbortController();
  const interrupted = (howMany: number) => {
    if (howMany > 1) leave.abort(new Left());
    else void cancel(context, connection, id);
  };
  using _ = context.interrupts.take(interrupted, { hangUp: connection.isEmbedded });
  try {
    await connection.learnNodes(leave.signal);
    const end = await watchToEnd(context, connection, view, options, leave.signal);
    printEnd(context, connection, end, options);
    return exitCodeOfOutcome(end.result.outcome);
  } catch (error) {
    const hasLeft = leave.signal.reason instanceof Left;
    if (hasLeft || isOutOfReach(error)) sayHowToReturn(context, connection, id, hasLeft);
    if (!hasLeft) throw error;
    return EXIT.cancelled;
  }
}

async function watchToEnd(
  context: CliContext,
  connection: Connection,
  view: TaskView,
  { json, timestamps }: FollowOptions,
  signal: AbortSignal,
): Promise<Finished> {
  const format: LogFormat = json ? 'json' : timestamps ? 'timestamps' : 'text';
  const { client } = connection;
  const waiting = new AbortController();
  const queue = showQueue(context, connection, view, json, AbortSignal.any([signal, waiting.signal]));
  const stopWaiting = () => {
    waiting.abort();
    context.terminal.status(undefined);
  };
  try {
    await printLog(context.terminal, client.log(view.id, { follow: true }, signal), format, stopWaiting);
    return await awaitEnd(context, connection, view.id, signal);
  } finally {
    stopWaiting();
    await queue;
  }
}

/** On a terminal at once, in a line that goes away; elsewhere in lines that stay, if it takes more than a moment. */
async function showQueue(
  { terminal, clock }: CliContext,
  { client }: Connection,
  view: TaskView,
  json: boolean,
  signal: AbortSignal,
): Promise<void> {
  const say = ({ text }: QueueExplanation) => {
    if (json) terminal.print(JSON.stringify({ event: 'queued', why: text }));
    else if (terminal.showsStatus) terminal.status(terminal.sayStyle.dim(`Queued: ${text}`));
    else terminal.say(`Queued: ${text}`);
  };
  const goesAway = terminal.showsStatus && !json;
  try {
    if (!goesAway) await clock.sleep(SHORT_WAIT_MS, signal);
    await watchQueue(client, view.id as TaskId, view.task, goesAway ? say : sparingly(clock, say), signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Lines that stay are for the reason: while only its numbers change, one comes now and then. */
export function sparingly(
  clock: Pick<Clock, 'monotonic'>,
  say: (why: QueueExplanation) => void,
): (why: QueueExplanation) => void {
  let last: { readonly reason: QueueExplanation['reason']; readonly at: number } | undefined;
  return why => {
    const at = clock.monotonic();
    if (last && last.reason === why.reason && at - last.at < SAME_REASON_MS) return;
    last = { reason: why.reason, at };
    say(why);
  };
}

async function awaitEnd(
  { clock }: CliContext,
  { client }: Connection,
  id: string,
  signal: AbortSignal,
): Promise<Finished> {
  for (;;) {
    const view = await client.call('getTask', { params: { id } }, signal);
    if (view.state === 'finished') return view;
    await clock.sleep(ASK_AGAIN_MS, signal);
  }
}

/** Whoever interrupts wants it gone, whatever becomes of this process: asked for on a signal of its own. */
async function cancel({ terminal, clock }: CliContext, { client, isEmbedded }: Connection, id: TaskId): Promise<void> {
  using limit = deadline(clock, CANCEL_LIMIT_MS, neverAborted);
  const second = isEmbedded ? 'stops at once' : 'leaves without waiting for its end';
  terminal.say(`Cancelling; Ctrl-C again ${second}.`);
  try {
    await client.call('cancelTask', { params: { id } }, limit.signal);
  } catch (error) {
    terminal.say(`Cannot cancel the task: ${describeError(error)}`);
  }
}

function printEnd({ terminal }: CliContext, connection: Connection, end: Finished, { json }: FollowOptions): void {
  const exitCode = exitCodeOfOutcome(end.result.outcome);
  if (json) terminal.print(JSON.stringify({ event: 'finished', id: end.id, exitCode, result: end.result }));
  else for (const line of describeEnd(end, terminal.sayStyle, connection)) terminal.say(line);
}

/** The cluster is away, not the task. */
function isOutOfReach(error: unknown): boolean {
  return isCiError(error) && exitCodeOfError(error) === EXIT.unavailable;
}

function sayHowToReturn(
  { terminal }: CliContext,
  { isEmbedded, hint }: Connection,
  id: TaskId,
  hasLeft: boolean,
): void {
  if (isEmbedded) terminal.say(`Stopped. What it printed: ${hint(`logs ${id}`)}`);
  else
    terminal.say(
      `${hasLeft ? 'Left' : 'Lost the connection'}; the task goes on without you. To return to it: ${hint(`logs ${id} -f`)}`,
    );
}
