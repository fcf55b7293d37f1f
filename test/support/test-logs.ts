import assert from 'node:assert/strict';
import { createLogs } from '../../node-runtime/logs/node-logs.ts';
import type { AttemptName, Logs } from '../../node-runtime/logs/logs.ts';
import type { ObjectStore } from '../../node-runtime/objects/object-store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { type Clock, neverAborted } from '../../node-runtime/system/clock.ts';
import { type ClusterId, newTaskId } from '../../shared/ids.ts';
import { objectKeys } from '../../shared/keyspace.ts';
import type { LogBytesEvent, LogEndEvent, LogEvent, LogMark, LogMarkEvent } from '../../shared/log.ts';

export const testKeys = objectKeys('test/ci' as ClusterId, 'epoch000');

/** A node's logs. Two of them on one object store are two nodes. */
export function testLogs(objects: ObjectStore, clock: Clock, storeTimeoutMs = 60_000): Logs {
  return createLogs({ objects, objectKeys: testKeys, clock, chance: systemChance, storeTimeoutMs });
}

export function newAttempt(): AttemptName {
  return { task: newTaskId(5, 1_790_000_000_000, Math.random), fence: 7 };
}

/** What a reader has seen, while it reads and after. */
export interface Seen {
  start: number | undefined;
  bytes: Buffer;
  marks: LogMark[];
  end: LogEndEvent | undefined;
}

/** Reads to the end, and checks on the way that no byte is missing or comes twice and that marks stand where they belong. */
export async function readAll(
  events: AsyncIterable<LogEvent | LogBytesEvent | LogMarkEvent | LogEndEvent>,
  seen: Seen = { start: undefined, bytes: Buffer.alloc(0), marks: [], end: undefined },
): Promise<Seen> {
  const chunks: Uint8Array[] = [];
  let at: number | undefined;
  for await (const event of events) {
    if (event.kind === 'attempt') continue;
    const offset = event.kind === 'mark' ? event.mark.offset : event.offset;
    seen.start ??= offset;
    assert.equal(offset, at ?? offset, `${event.kind} at ${offset} where ${at} was due`);
    assert.equal(seen.end, undefined, 'something came after the end');
    at = offset;
    if (event.kind === 'bytes') {
      assert.ok(event.bytes.length > 0 && event.bytes.length <= 262_144, 'an event has 1 byte to 256 KiB');
      chunks.push(event.bytes.slice());
      at += event.bytes.length;
    } else if (event.kind === 'mark') seen.marks.push(event.mark);
    else seen.end = event;
  }
  seen.bytes = Buffer.concat(chunks);
  return seen;
}

/** What is known of an attempt now; `over` says that nobody will add to it. */
export function readNow(logs: Logs, attempt: AttemptName, from = 0, over?: LogEndEvent['reason']): Promise<Seen> {
  return readAll(logs.read({ ...attempt, from, follow: false, isOver: async () => over }, neverAborted));
}

/** Compressible, and different at every offset, so that a byte in the wrong place is noticed. */
export function numberedLines(bytes: number): Buffer {
  const lines: string[] = [];
  for (let length = 0, line = 0; length < bytes; line++) {
    const text = `line ${line} of a log that has many\n`;
    lines.push(text);
    length += text.length;
  }
  return Buffer.from(lines.join('')).subarray(0, bytes);
}
