import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LogEvent } from '../../shared/log.ts';
import { LineReader, type LogLine } from '../../shared/log-model/line-reader.ts';

const encoder = new TextEncoder();

function bytesEvent(offset: number, bytes: Uint8Array, time = 0): LogEvent {
  return { kind: 'bytes', offset, time, bytes };
}

/** All events to one reader, one by one: the lines as they are at the end. */
function readAll(events: readonly LogEvent[]): LogLine[] {
  const reader = new LineReader();
  const lines: LogLine[] = [];
  for (const event of events) {
    const last = lines.at(-1);
    if (last?.kind === 'output' && !last.isWhole) lines.pop();
    lines.push(...reader.read([event]));
  }
  return lines;
}

test('a line is named by the offset of its first byte, whatever characters are before it', () => {
  const lines = readAll([bytesEvent(100, encoder.encode('äöü\nb\n'), 7)]);
  assert.deepEqual(
    lines.map(line => line.kind === 'output' && [line.offset, line.end, line.text, line.time]),
    [
      [100, 107, 'äöü', 7],
      [107, 109, 'b', 7],
    ],
  );
});

test('however a stream is cut, the same lines come out', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'ä', '🙂', '\n', '\r\n', '\u001b[31m', ' '), maxLength: 60 });
  fc.assert(
    fc.property(text, fc.array(fc.nat(200), { maxLength: 8 }), (whole, cuts) => {
      const bytes = encoder.encode(whole);
      const edges = [...new Set([0, bytes.length, ...cuts.map(cut => Math.min(cut, bytes.length))])].sort(
        (a, b) => a - b,
      );
      const parts = edges.slice(0, -1).map((start, i) => bytesEvent(start, bytes.subarray(start, edges[i + 1])));
      assert.deepEqual(readAll(parts), bytes.length === 0 ? [] : readAll([bytesEvent(0, bytes)]));
    }),
  );
});

test('a line whose end has not come is there, and comes again with more of it', () => {
  const reader = new LineReader();
  assert.deepEqual(summary(reader.read([bytesEvent(0, encoder.encode('Pass'))])), ['0 Pass …']);
  assert.deepEqual(summary(reader.read([bytesEvent(4, encoder.encode('word:\nx'))])), ['0 Password:', '10 x …']);
});

test('a line without end is cut into parts of 8 KiB', () => {
  const lines = readAll([bytesEvent(0, new Uint8Array(20_000).fill(97))]);
  assert.deepEqual(
    lines.map(({ offset }) => offset),
    [0, 8192, 16_384],
  );
});

test('a mark ends the line before it, and a step begins without colours', () => {
  const mark = { offset: 8, time: 1, kind: 'step-started', step: 1, text: 'next' } as const;
  const lines = readAll([
    bytesEvent(0, encoder.encode('\u001b[31mred')),
    { kind: 'mark', mark },
    bytesEvent(8, encoder.encode('plain\n')),
  ]);
  assert.deepEqual(summary(lines), ['0 \u001b[31mred', 'next', '8 plain']);
  assert.deepEqual(lines[2]?.kind === 'output' && lines[2].style, {});
});

function summary(lines: readonly LogLine[]): string[] {
  return lines.map(line =>
    line.kind === 'mark' ? line.mark.text : `${line.offset} ${line.text}${line.isWhole ? '' : ' …'}`,
  );
}
