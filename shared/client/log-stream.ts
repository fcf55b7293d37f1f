import { CiError, describeError } from '../errors.ts';
import type { LogEvent, LogPosition } from '../log.ts';
import { INITIAL_LOG_CREDIT } from '../socket-protocol.ts';
import type { HttpCaller } from './http.ts';
import { LogProgress } from './log-progress.ts';
import { keepSubscribed } from './reconnect.ts';
import type { Incoming, Wanted } from './subscription.ts';

export interface LogRequest {
  /** Counted from 1. Default: the completing one, or the one under way and each that follows. */
  readonly attempt?: number;
  /** Go on after this position. Default: from the start. */
  readonly from?: LogPosition;
  /** Start this many bytes before the end instead. */
  readonly tail?: number;
  /** Until the task is finished. Default: end with what there is now. */
  readonly follow?: boolean;
  /** Only the attempt that `from` names, and only what the node asked has itself: how nodes ask each other. */
  readonly local?: boolean;
  /** Only where attempts and steps begin and end, without what was printed. */
  readonly isWithoutBytes?: boolean;
}

/** What may be on its way to a reader at once, in bytes: 100 MB/s when there and back takes 20 ms. A slow reader keeps that much waiting. */
const WINDOW = 2_097_152;
/** Credit is given back in portions of this, in bytes: few messages for a node, and the window does not run dry between them. */
const CREDIT_PORTION = 524_288;
/** A gap is a fault of the node that was asked: asking again may help, but what keeps coming back must be seen. */
const MOST_GAPS = 3;

class LogGap extends Error {
  override readonly name = 'LogGap';
}

/** A task's log as one stream, whatever happens to connections and nodes on the way: no gap, no repeat. */
export async function* streamLog(
  http: HttpCaller,
  task: string,
  request: LogRequest,
  signal: AbortSignal,
): AsyncGenerator<LogEvent> {
  const progress = new LogProgress(request.from, request.tail !== undefined, request.isWithoutBytes);
  for (let gaps = 1; ; gaps++) {
    try {
      yield* read(http, task, request, progress, signal);
      return;
    } catch (error) {
      if (!(error instanceof LogGap)) throw error;
      if (gaps > MOST_GAPS) throw new CiError('internal', `Cannot read the log of ${task}: ${error.message}`);
    }
  }
}

async function* read(
  http: HttpCaller,
  task: string,
  request: LogRequest,
  progress: LogProgress,
  signal: AbortSignal,
): AsyncGenerator<LogEvent> {
  let owed = 0;
  for await (const delivery of keepSubscribed(http, () => wanted(task, request, progress.position), signal)) {
    if (delivery.kind === 'connected') {
      delivery.from.giveCredit(WINDOW - INITIAL_LOG_CREDIT);
      owed = 0;
      progress.resume();
      continue;
    }
    const { message, from } = delivery;
    const event = accept(progress, message);
    if (event) yield event;
    if (message.type !== 'bytes') continue;
    // Only now has the reader taken it: whoever is slow holds back the node, and fills no memory here.
    owed += message.bytes.length;
    if (owed < CREDIT_PORTION) continue;
    from.giveCredit(owed);
    owed = 0;
  }
}

function accept(progress: LogProgress, message: Incoming): LogEvent | undefined {
  try {
    return progress.accept(message);
  } catch (error) {
    throw new LogGap(describeError(error));
  }
}

function wanted(
  task: string,
  { attempt, from, tail, follow = false, local, isWithoutBytes }: LogRequest,
  at: LogPosition | undefined,
): Wanted {
  const start = at ? { from: at } : { ...(from && { from }), ...(tail !== undefined && { tail }) };
  const what = {
    ...(attempt !== undefined && { attempt }),
    ...(local && { local }),
    ...(isWithoutBytes && { marks: true }),
  };
  return { topic: 'log', task, follow, ...what, ...start };
}
