import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LogBytesEvent, LogMarkEvent } from '../../shared/log.ts';
import { LogCursor } from '../../shared/log-cursor.ts';

type Item = number | string;

/** A log as bytes (numbers) and marks (strings), and the events of a source that starts at an offset. */
function eventsFrom(log: readonly Item[], from: number, chunk: number): (LogBytesEvent | LogMarkEvent)[] {
  const events: (LogBytesEvent | LogMarkEvent)[] = [];
  let offset = 0;
  let pending: number[] = [];
  const flush = () => {
    const skip = Math.max(0, from - (offset - pending.length));
    const bytes = Uint8Array.from(pending.slice(skip));
    if (bytes.length > 0) events.push({ kind: 'bytes', offset: offset - bytes.length, time: 0, bytes });
    pending = [];
  };
  for (const item of log) {
    if (typeof item === 'number') {
      pending.push(item);
      offset++;
      if (pending.length === chunk) flush();
    } else {
      flush();
      if (offset >= from) events.push({ kind: 'mark', mark: { offset, time: 0, kind: 'note', text: item } });
    }
  }
  flush();
  return events;
}

function itemsOf(event: LogBytesEvent | LogMarkEvent): Item[] {
  return event.kind === 'mark' ? [event.mark.text] : [...event.bytes];
}

test('a reader that changes its source at any place sees every byte and every mark once, in order', () => {
  const logs = fc.array(fc.oneof(fc.nat(255), fc.constantFrom('a', 'b', 'c')), { maxLength: 60 });
  const sources = fc.array(fc.record({ chunk: fc.integer({ min: 1, max: 9 }), dies: fc.nat(8) }), { maxLength: 20 });
  fc.assert(
    fc.property(logs, sources, (log, dying) => {
      const cursor = new LogCursor(0);
      const seen: Item[] = [];
      for (const { chunk, dies } of [...dying, { chunk: 5, dies: Number.POSITIVE_INFINITY }]) {
        for (const event of eventsFrom(log, cursor.resume(), chunk).slice(0, dies)) {
          const fresh = cursor.accept(event);
          if (fresh !== undefined) seen.push(...itemsOf(fresh));
        }
      }
      assert.deepEqual(seen, log);
    }),
  );
});

test('bytes that the reader has already are cut off, and a gap is an error', () => {
  const cursor = new LogCursor(3);
  const bytes = (offset: number, text: string) =>
    ({ kind: 'bytes', offset, time: 0, bytes: Buffer.from(text) }) as const;
  assert.equal(cursor.accept(bytes(0, 'abc')), undefined);
  assert.equal(Buffer.from(cursor.accept(bytes(1, 'bcde'))?.bytes ?? []).toString(), 'de');
  assert.equal(cursor.offset, 5);
  assert.throws(() => cursor.accept(bytes(6, 'x')), /byte 6 where byte 5/);
});
