import type { FollowRequest, Logs, ReadRequest, TaskLogs } from '../../node-runtime/logs/logs.ts';
import { Wakeup } from '../../node-runtime/system/wakeup.ts';
import { CiError } from '../../shared/errors.ts';
import type { LogBytesEvent, LogEndEvent, LogEvent, LogMarkEvent } from '../../shared/log.ts';

interface ScriptedAttempt {
  readonly fence: number;
  readonly said: (LogBytesEvent | LogMarkEvent | LogEndEvent)[];
  bytes: number;
}

/** Logs that a test writes by hand, served as the product's are: every reader gets them from where it asks, and live. */
export class ScriptedLogs implements TaskLogs, Pick<Logs, 'read' | 'outline'> {
  /** How many bytes readers have taken so far. */
  taken = 0;
  readonly #attempts: ScriptedAttempt[] = [];
  readonly #changed = new Wakeup();

  async outline(): Promise<undefined> {}

  attempt(fence: number): void {
    this.#attempts.push({ fence, said: [], bytes: 0 });
    this.#changed.notify();
  }

  print(text: string | Uint8Array): void {
    const bytes = Buffer.from(text);
    this.#say({ kind: 'bytes', offset: this.#last.bytes, time: 1, bytes });
    this.#last.bytes += bytes.length;
  }

  mark(text: string): void {
    this.#say({ kind: 'mark', mark: { offset: this.#last.bytes, time: 1, kind: 'note', text } });
  }

  end(reason: 'finished' | 'lost'): void {
    this.#say({ kind: 'end', offset: this.#last.bytes, reason });
  }

  async *follow(request: FollowRequest, signal: AbortSignal): AsyncGenerator<LogEvent> {
    const { task, attempt, from, follow, tail } = request;
    let index = from ? this.#attempts.findIndex(({ fence }) => fence === from.fence) : (attempt ?? 1) - 1;
    if (index < 0 || (!follow && !this.#attempts[index]))
      throw new CiError('not-found', `Cannot read log as there is no such attempt: ${task}`);
    for (let offset = from?.offset ?? 0; ; index++, offset = 0) {
      while (!this.#attempts[index]) await this.#wait(signal);
      const { fence, bytes, said } = this.#attempts[index]!;
      if (tail !== undefined) offset = Math.max(0, bytes - tail);
      yield { kind: 'attempt', fence, attempt: index + 1, node: 'n1', offset };
      yield* this.read({ task, fence, from: offset, follow }, signal);
      const last = said.at(-1);
      if (!follow || attempt !== undefined || (last?.kind === 'end' && last.reason === 'finished')) return;
    }
  }

  async *read(request: ReadRequest, signal: AbortSignal): AsyncGenerator<LogBytesEvent | LogMarkEvent | LogEndEvent> {
    const attempt = this.#attempts.find(({ fence }) => fence === request.fence);
    if (!attempt) throw new CiError('not-found', 'Cannot read log as there is no such attempt here');
    const from = request.tail === undefined ? request.from : Math.max(0, attempt.bytes - request.tail);
    for (let at = 0; ; at++) {
      while (at === attempt.said.length && request.follow) await this.#wait(signal);
      const event = attempt.said[at];
      if (!event) return;
      const wanted = since(event, from);
      if (wanted?.kind === 'bytes') this.taken += wanted.bytes.length;
      if (wanted) yield wanted;
      if (event.kind === 'end') return;
    }
  }

  get #last(): ScriptedAttempt {
    return this.#attempts.at(-1)!;
  }

  #say(event: LogBytesEvent | LogMarkEvent | LogEndEvent): void {
    this.#last.said.push(event);
    this.#changed.notify();
  }

  async #wait(signal: AbortSignal): Promise<void> {
    await this.#changed.wait(signal);
    signal.throwIfAborted();
  }
}

/** The part of the event that lies at or after the offset. */
function since<E extends LogBytesEvent | LogMarkEvent | LogEndEvent>(event: E, from: number): E | undefined {
  if (event.kind === 'mark') return event.mark.offset >= from ? event : undefined;
  if (event.kind === 'end' || event.offset >= from) return event;
  const bytes = event.bytes.subarray(from - event.offset);
  return bytes.length > 0 ? { ...event, offset: from, bytes } : undefined;
}
