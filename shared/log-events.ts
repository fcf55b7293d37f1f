import type { LogBytesEvent, LogMark, LogMarkEvent } from './log.ts';
import type { LogTime } from './log-piece.ts';

/** Bytes of one attempt's output, with the times at which they were read. */
export interface LogStretch {
  readonly start: number;
  readonly bytes: Uint8Array;
  /** In the order of offsets; the first is not after `start`. */
  readonly times: readonly LogTime[];
}

/** The most bytes in one event: small enough to be one message. */
const LOG_EVENT_BYTES = 262_144;

/** The bytes of a stretch from `from` on, with the marks among them: each before the byte at its offset. */
export function* logEvents(
  stretch: LogStretch,
  from: number,
  marks: readonly LogMark[],
): Generator<LogBytesEvent | LogMarkEvent> {
  let at = from;
  for (const mark of marks) {
    yield* bytesEvents(stretch, at, mark.offset);
    at = Math.max(at, mark.offset);
    yield { kind: 'mark', mark };
  }
  yield* bytesEvents(stretch, at, stretch.start + stretch.bytes.length);
}

function* bytesEvents({ start, bytes, times }: LogStretch, from: number, to: number): Generator<LogBytesEvent> {
  let entry = timeAt(times, from);
  for (let at = from; at < to; ) {
    const time = times[entry]?.time ?? 0;
    const end = Math.min(to, times[entry + 1]?.offset ?? to, at + LOG_EVENT_BYTES);
    yield { kind: 'bytes', offset: at, time, bytes: bytes.subarray(at - start, end - start) };
    at = end;
    if (at === times[entry + 1]?.offset) entry++;
  }
}

/** The last entry that is not after the offset. */
function timeAt(times: readonly LogTime[], offset: number): number {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (times[middle]!.offset <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
