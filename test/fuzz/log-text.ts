import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LogEvent } from '../../shared/log.ts';
import { styleLine } from '../../shared/log-model/ansi.ts';
import { findLinks } from '../../shared/log-model/links.ts';
import { LineReader, type LogLine, type OutputLine } from '../../shared/log-model/line-reader.ts';
import { LogText } from '../../shared/log-text.ts';
import { SafeText } from '../../shared/safe-text.ts';
import { type FuzzTarget, pure } from './fuzz-target.ts';
import { inTime } from './in-time.ts';
import { rawBytes, rawText } from './raw-text.ts';

/** What steers terminals, and what hides text. */
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const COLORS = /\u001b\[[0-9;:]{0,64}m/g;
/** No row is made of more bytes than this. */
const LONGEST_ROW = 8192;

/** What hostile programs are made of: sequences begun, ended and cut, in UTF-8 and not, some of them very long. */
const words = fc.constantFrom(
  ...[
    '\u001b',
    '\u001b[',
    '\u001b]',
    '\u001b]8;;',
    '\u001b]52;c;',
    '\u001bP',
    '\u001b_',
    '\u009b',
    '\u0090',
    '\u009d',
    '\u009c',
  ],
  ...['\u0007', '\u001b\\', '\r', '\r\n', '\n', '\u202e', '\u2066', '\u200f', '\u0000', '\u007f', '\u0008', '\t'],
  ...[
    '31m',
    '38;2;',
    '38:5:',
    '1;',
    'm',
    'H',
    '?25l',
    '0;',
    ';',
    'javascript:',
    'https://x',
    '<script>',
    'text',
    '[',
    '(',
    '(B',
    '#8',
    ' ',
    '🙂',
    'ä',
  ],
);
const parts = fc.oneof(
  { weight: 12, arbitrary: words.map(word => Buffer.from(word)) },
  { weight: 4, arbitrary: fc.uint8Array({ maxLength: 6 }).map(bytes => Buffer.from(bytes)) },
  { weight: 1, arbitrary: fc.integer({ min: 4000, max: 9000 }).map(count => Buffer.alloc(count, '7')) },
  { weight: 1, arbitrary: fc.integer({ min: 500, max: 4500 }).map(count => Buffer.from('\u001b]'.repeat(count))) },
);
const outputs = fc.oneof(
  { weight: 4, arbitrary: fc.array(parts, { maxLength: 25 }).map(list => Buffer.concat(list)) },
  { weight: 1, arbitrary: rawBytes.map(bytes => Buffer.from(bytes)) },
);
/** Of what places in files and addresses are made, some so often that an expression could lose its way. */
const linkWords = fc.constantFrom(
  ...[
    'https://',
    'http://x',
    'a.ts',
    'src/',
    './',
    '/',
    '..',
    '.',
    ':',
    ':1',
    '(1,2)',
    '(',
    ')',
    'File "',
    '", line 3',
  ],
  ...['a', '@', '-', '+', ' ', 'ä', '_'],
);
const namingLines = fc.oneof(
  fc
    .array(
      fc.oneof(
        { weight: 6, arbitrary: linkWords },
        { weight: 1, arbitrary: fc.tuple(linkWords, fc.nat(2000)).map(([word, times]) => word.repeat(times)) },
      ),
      { maxLength: 12 },
    )
    .map(list => list.join('').slice(0, LONGEST_ROW)),
  rawText,
);
const cuts = fc.array(fc.oneof(fc.nat(60), fc.nat(20_000)), { maxLength: 12 });

export const logTextTargets: readonly FuzzTarget[] = [
  ...pure(
    'log text: any bytes in any cuts are the same text, in which nothing steers a terminal',
    1000,
    fc.property(outputs, cuts, fc.boolean(), (bytes, at, colors) => {
      const whole = safeText([bytes], colors);
      assert.equal(safeText(cut(bytes, at), colors), whole);
      assert.doesNotMatch(colors ? whole.replace(COLORS, '') : whole, CONTROL);
      assert.ok(whole.length <= bytes.length);
    }),
  ),
  ...pure(
    'log text: what a terminal is shown of a log has no control characters but colours, whatever the headings',
    300,
    fc.property(outputs, cuts, outputs, fc.boolean(), fc.boolean(), (bytes, at, heading, colors, timestamps) => {
      const text = new LogText({ colors, timestamps });
      const mark = { offset: 0, time: 0, kind: 'step-started', step: 0, text: heading.toString() } as const;
      const said = [...eventsOf(bytes, at), { kind: 'mark' as const, mark }].map(event => text.push(event)).join('');
      assert.doesNotMatch((said + text.end()).replace(COLORS, ''), CONTROL);
    }),
  ),
  ...pure(
    'log text: any bytes in any cuts are the same rows, bounded, with every byte in one of them',
    1000,
    fc.property(outputs, cuts, (bytes, at) => {
      const rows = rowsOf(eventsOf(bytes, at));
      assert.deepEqual(rows, rowsOf(eventsOf(bytes, [])));
      let end = 0;
      for (const row of rows) {
        assert.equal(row.offset, end);
        assert.ok(row.end > row.offset && row.end - row.offset <= LONGEST_ROW);
        end = row.end;
      }
      assert.equal(end, bytes.length);
    }),
  ),
  ...pure(
    'log text: a row is text, colours and web addresses, and nothing that steers or hides',
    1000,
    fc.property(outputs, bytes => {
      for (const row of rowsOf(eventsOf(bytes, []))) {
        for (const { text, style } of styleLine(row.text, row.style).spans) {
          assert.doesNotMatch(text, CONTROL);
          assert.match(style.link ?? 'https://none', /^https?:\/\/[^\s]+$/);
          for (const color of [style.foreground, style.background]) assert.ok(isColor(color), String(color));
        }
      }
    }),
  ),
  ...pure(
    'log text: what a row names is found in no time, in order, each apart from the others',
    300,
    fc.property(namingLines, row => {
      let done = 0;
      for (const link of inTime(() => findLinks(row), row)) {
        assert.ok(link.start >= done && link.end > link.start && link.end <= row.length);
        const named = link.kind === 'address' ? link.address : link.path;
        assert.ok(row.slice(link.start, link.end).includes(named));
        done = link.end;
      }
    }),
  ),
];

function isColor(color: number | string | undefined): boolean {
  if (color === undefined) return true;
  return typeof color === 'number' ? color >= 0 && color < 16 : /^#[0-9a-f]{6}$/.test(color);
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set([0, ...at.map(place => Math.min(place, bytes.length)), bytes.length])].sort(
    (a, b) => a - b,
  );
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

function safeText(chunks: readonly Buffer[], colors: boolean): string {
  const safe = new SafeText(colors);
  return chunks.map(chunk => safe.push(chunk)).join('') + safe.end();
}

function eventsOf(bytes: Buffer, at: readonly number[]): LogEvent[] {
  let offset = 0;
  return cut(bytes, at).map(chunk => {
    const event = { kind: 'bytes' as const, offset, time: 0, bytes: chunk };
    offset += chunk.length;
    return event;
  });
}

/** Given to one reader event by event: the rows as they are at the end. */
function rowsOf(events: readonly LogEvent[]): OutputLine[] {
  const reader = new LineReader();
  const rows: LogLine[] = [];
  for (const event of events) {
    const last = rows.at(-1);
    if (last?.kind === 'output' && !last.isWhole) rows.pop();
    rows.push(...reader.read([event]));
  }
  return rows.filter(row => row.kind === 'output');
}
