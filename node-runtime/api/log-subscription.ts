import { type ClientMessage, encodeLogFrame } from '../../shared/socket-protocol.ts';
import { CiError } from '../../shared/errors.ts';
import { parseTaskId } from '../../shared/ids.ts';
import type { LogBytesEvent, LogEvent, LogPosition } from '../../shared/log.ts';
import { LogCursor } from '../../shared/log-cursor.ts';
import type { BlockRoom } from '../logs/block-room.ts';
import type { Logs, TaskLogs } from '../logs/logs.ts';
import type { Credit } from './credit.ts';
import type { Outbox } from './outbox.ts';

type SubscribeLog = Extract<ClientMessage, { topic: 'log' }>;

/** Largest part of a log in one frame: several subscriptions of a socket take turns. */
const FRAME_BYTES = 262_144;

/** Where a log is sent, and how it is held back. */
interface Receiver {
  readonly id: number;
  readonly outbox: Outbox;
  /** What all logs of the socket share. */
  readonly room: BlockRoom;
  readonly credit: Credit;
  /** Only marks are wanted. */
  readonly isWithoutBytes: boolean;
  onBytes(count: number): void;
}

/** A reader that has stood still has let go of what it held, as others want it. */
class LetGo extends Error {}

/**
 * The events that the client asked for: of the task wherever they are, or of one attempt from this node alone.
 * @param from where to go on, after the client has got some of it
 */
export function openLog(
  {
    message,
    from: place,
    room,
  }: { readonly message: SubscribeLog; readonly from: LogPosition | undefined; readonly room: BlockRoom },
  logs: { readonly taskLogs: TaskLogs; readonly logs: Pick<Logs, 'read'> },
  signal: AbortSignal,
): AsyncIterable<LogEvent> {
  const { task, attempt, follow = true, local = false } = message;
  const id = parseTaskId(task);
  const from = place ?? message.from;
  const start = message.tail === undefined || place ? {} : { tail: message.tail };
  if (!local) {
    const which = { ...(attempt !== undefined && { attempt }), ...(from && { from }) };
    return logs.taskLogs.follow({ task: id, follow, room, ...start, ...which }, signal);
  }
  if (!from) throw new CiError('invalid', 'Cannot read log as "local" takes the attempt that "from" names');
  return logs.logs.read({ task: id, fence: from.fence, from: from.offset, follow, room, ...start }, signal);
}

/**
 * Sends a log: bytes only as far as the client has given credit. While it gives none and other logs of its want what this
 * one holds of its log, that is let go of, and read anew when there is credit.
 */
export async function sendLog(
  open: (from?: LogPosition) => AsyncIterable<LogEvent>,
  to: Receiver,
  signal: AbortSignal,
): Promise<void> {
  const sent = new SentLog(to);
  while (!(await sendOn(open(sent.resume()), sent, signal))) {
    await to.credit.untilGiven(signal);
    signal.throwIfAborted();
  }
}

/** @returns false when it was let go of. A function of its own, as one that waits keeps in memory what it has had in hand. */
async function sendOn(events: AsyncIterable<LogEvent>, sent: SentLog, signal: AbortSignal): Promise<boolean> {
  try {
    for await (const event of events) await sent.send(event, signal);
    return true;
  } catch (error) {
    if (error instanceof LetGo) return false;
    throw error;
  }
}

/** A log as far as it was sent. */
class SentLog {
  readonly #to: Receiver;
  #fence: number | undefined;
  #cursor: LogCursor | undefined;

  constructor(to: Receiver) {
    this.#to = to;
  }

  /** Where to go on; undefined at the beginning. What comes again from there is not sent again. */
  resume(): LogPosition | undefined {
    return this.#cursor && { fence: this.#fence ?? 0, offset: this.#cursor.resume() };
  }

  async send(event: LogEvent, signal: AbortSignal): Promise<void> {
    const { id, outbox } = this.#to;
    switch (event.kind) {
      case 'bytes':
        if (this.#to.isWithoutBytes) this.#cursorAt(event.offset).accept(event);
        else await this.#sendBytes(event, signal);
        return;
      case 'attempt': {
        const { fence, attempt, node, offset } = event;
        if (fence === this.#fence) return;
        this.#fence = fence;
        this.#cursor = new LogCursor(offset);
        return outbox.say({ type: 'attempt', id, fence, attempt, node, offset }, signal);
      }
      case 'mark':
        if (this.#cursorAt(event.mark.offset).accept(event))
          await outbox.say({ type: 'mark', id, mark: event.mark }, signal);
        return;
      case 'end':
        return outbox.say({ type: 'attempt-end', id, offset: event.offset, reason: event.reason }, signal);
    }
  }

  async #sendBytes({ offset, time, bytes }: LogBytesEvent, signal: AbortSignal): Promise<void> {
    const { id, outbox, credit, onBytes } = this.#to;
    const cursor = this.#cursorAt(offset);
    for (let at = Math.max(0, cursor.offset - offset); at < bytes.length; ) {
      await this.#untilCredit(signal);
      const count = await credit.take(Math.min(FRAME_BYTES, bytes.length - at), signal);
      const part = bytes.subarray(at, at + count);
      cursor.accept({ kind: 'bytes', offset: offset + at, time, bytes: part });
      await outbox.send(encodeLogFrame(id, offset + at, time, part), signal);
      onBytes(count);
      at += count;
    }
  }

  /** Of one attempt alone, nobody says before its first event where it begins. */
  #cursorAt(offset: number): LogCursor {
    this.#cursor ??= new LogCursor(offset);
    return this.#cursor;
  }

  /** Rejects with LetGo when others want what this log holds before there is credit. */
  async #untilCredit(signal: AbortSignal): Promise<void> {
    const { credit, room } = this.#to;
    if (!credit.isUsedUp) return;
    const decided = new AbortController();
    const either = AbortSignal.any([signal, decided.signal]);
    await Promise.race([credit.untilGiven(either), room.untilWanted(either)]);
    decided.abort();
    if (credit.isUsedUp && !signal.aborted) throw new LetGo('Others want what this log holds');
  }
}
