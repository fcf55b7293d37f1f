import { type ClientMessage, encodeLogFrame } from '../../shared/socket-protocol.ts';
import { CiError } from '../../shared/errors.ts';
import { parseTaskId } from '../../shared/ids.ts';
import type { LogBytesEvent, LogEvent } from '../../shared/log.ts';
import type { Logs, TaskLogs } from '../logs/logs.ts';
import type { Credit } from './credit.ts';
import type { Outbox } from './outbox.ts';

type SubscribeLog = Extract<ClientMessage, { topic: 'log' }>;

interface LogReader {
  readonly id: number;
  readonly outbox: Outbox;
  readonly credit: Credit;
  readonly isWithoutBytes: boolean;
  onBytes(count: number): void;
}

/** Largest part of a log in one frame: several subscriptions of a socket take turns. */
const FRAME_BYTES = 262_144;

/** The events that the client asked for: of the task wherever they are, or of one attempt from this node alone. */
export function openLog(
  { task, attempt, from, tail, follow = true, local = false }: SubscribeLog,
  logs: { readonly taskLogs: TaskLogs; readonly logs: Pick<Logs, 'read'> },
  signal: AbortSignal,
): AsyncIterable<LogEvent> {
  const id = parseTaskId(task);
  const start = tail === undefined ? {} : { tail };
  if (!local) {
    const request = { task: id, follow, ...start, ...(attempt !== undefined && { attempt }), ...(from && { from }) };
    return logs.taskLogs.follow(request, signal);
  }
  if (!from) throw new CiError('invalid', 'Cannot read log as "local" takes the attempt that "from" names');
  return logs.logs.read({ task: id, fence: from.fence, from: from.offset, follow, ...start }, signal);
}

/** Sends a log, with what was printed unless only marks are wanted: bytes only as far as the client has given credit. */
export async function sendLog(events: AsyncIterable<LogEvent>, to: LogReader, signal: AbortSignal): Promise<void> {
  const { id, outbox } = to;
  for await (const event of events) {
    switch (event.kind) {
      case 'bytes':
        if (!to.isWithoutBytes) await sendBytes(event, to, signal);
        break;
      case 'attempt': {
        const { fence, attempt, node, offset } = event;
        await outbox.say({ type: 'attempt', id, fence, attempt, node, offset }, signal);
        break;
      }
      case 'mark':
        await outbox.say({ type: 'mark', id, mark: event.mark }, signal);
        break;
      case 'end':
        await outbox.say({ type: 'attempt-end', id, offset: event.offset, reason: event.reason }, signal);
        break;
    }
  }
}

async function sendBytes({ offset, time, bytes }: LogBytesEvent, to: LogReader, signal: AbortSignal): Promise<void> {
  for (let sent = 0; sent < bytes.length; ) {
    const count = await to.credit.take(Math.min(FRAME_BYTES, bytes.length - sent), signal);
    await to.outbox.send(encodeLogFrame(to.id, offset + sent, time, bytes.subarray(sent, sent + count)), signal);
    to.onBytes(count);
    sent += count;
  }
}
