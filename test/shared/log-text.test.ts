import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LogEvent, LogMark } from '../../shared/log.ts';
import { LogText } from '../../shared/log-text.ts';

const TIME = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

function bytes(text: string | Uint8Array, time = TIME): LogEvent {
  return { kind: 'bytes', offset: 0, time, bytes: typeof text === 'string' ? Buffer.from(text) : text };
}

function mark(kind: LogMark['kind'], text: string): LogEvent {
  return { kind: 'mark', mark: { offset: 0, time: TIME, kind, text } };
}

function textOf(events: readonly LogEvent[], options = { timestamps: false, colors: false }): string {
  const text = new LogText(options);
  return events.map(event => text.push(event)).join('') + text.end();
}

test('steps have headings on lines of their own, and only failures a line at their end', () => {
  const events = [
    mark('step-started', 'npm ci'),
    bytes('added 3 packages'),
    mark('step-finished', 'passed'),
    mark('step-started', 'npm test'),
    bytes('1 failed\n'),
    mark('step-finished', 'failed'),
    mark('note', 'No artifact matches dist/*'),
  ];
  assert.equal(
    textOf(events),
    '▶ npm ci\nadded 3 packages\n▶ npm test\n1 failed\n✗ failed\n• No artifact matches dist/*\n',
  );
});

test('each line begins with the time of its first byte when that is wanted', () => {
  const events = [bytes('one\ntwo, '), bytes('still two\n', TIME + 1000), bytes('three', TIME + 2000)];
  assert.equal(
    textOf(events, { timestamps: true, colors: false }),
    '2026-01-02T03:04:05.678Z one\n2026-01-02T03:04:05.678Z two, still two\n2026-01-02T03:04:07.678Z three\n',
  );
});

test('an attempt that follows another says so, and one whose log has no end too', () => {
  const events: LogEvent[] = [
    { kind: 'attempt', fence: 7, attempt: 1, node: 'a', offset: 0 },
    bytes('half a li'),
    { kind: 'end', offset: 9, reason: 'lost' },
    { kind: 'attempt', fence: 9, attempt: 2, node: 'b', offset: 0 },
    bytes('whole line\n'),
    { kind: 'end', offset: 11, reason: 'finished' },
  ];
  assert.equal(
    textOf(events),
    'half a li\nAttempt 1 was given up or lost with its node: its last output may be missing\nAttempt 2 on b\nwhole line\n',
  );
});

test('characters that are cut between chunks come out whole, and bytes that are no text as U+FFFD', () => {
  const wide = Buffer.from('añ€😀z');
  for (let at = 0; at <= wide.length; at++)
    assert.equal(textOf([bytes(wide.subarray(0, at)), bytes(wide.subarray(at))]), 'añ€😀z\n');
  assert.equal(textOf([bytes(Uint8Array.of(0x61, 0xff, 0x62))]), 'a\ufffdb\n');
});

const HOSTILE = [
  '\u001b]0;title\u0007',
  '\u001b]52;c;ZXZpbA==\u0007',
  '\u001b]8;;http://evil.test\u001b\\',
  '\u001b[2J',
  '\u001b[1;1H',
  '\u001b[?1049h',
  '\u001b[6n',
  '\u001bc',
  '\u001bP$qm\u001b\\',
  '\u001b_payload\u001b\\',
  '\u009b2J',
  '\u009d0;title\u009c',
  '\u202e',
  '\u2066',
  '\u0007',
  '\b\b',
  '\u007f',
  '\u0000',
];

test('nothing in a log can move the cursor, retitle, write to the clipboard or turn the text round', () => {
  for (const sequence of HOSTILE) assert.equal(textOf([bytes(`a${sequence}b`)]), 'ab\n', JSON.stringify(sequence));
});

test('control sequences are found wherever they are cut', () => {
  for (const sequence of HOSTILE) {
    const whole = Buffer.from(`a${sequence}b`);
    for (let at = 0; at <= whole.length; at++)
      assert.equal(textOf([bytes(whole.subarray(0, at)), bytes(whole.subarray(at))]), 'ab\n', JSON.stringify(sequence));
  }
});

test('colours stay when they are wanted, and end with the line they are left in', () => {
  const red = '\u001b[31mred\u001b[0m';
  assert.equal(textOf([bytes(`${red}\n`)]), 'red\n');
  const shown = textOf([bytes('\u001b[31mred'), mark('step-started', 'next')], { timestamps: false, colors: true });
  assert.equal(shown, '\u001b[31mred\u001b[0m\n\u001b[1m▶ next\u001b[0m\n');
});

test('a line written over with carriage returns becomes lines', () => {
  assert.equal(textOf([bytes('10%\r20%\r'), bytes('\ndone\r\n')]), '10%\n20%\ndone\n');
});

test('no output, however cut, leaves a control character but line ends and tabs', () => {
  const chunk = fc.oneof(
    fc.uint8Array({ maxLength: 30 }),
    fc.constantFrom(...HOSTILE).map(text => Buffer.from(text)),
  );
  fc.assert(
    fc.property(fc.array(chunk), chunks => {
      assert.doesNotMatch(
        textOf(chunks.map(each => bytes(each))),
        /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/,
      );
    }),
  );
});

test('a chunk made to be slow to search is not', () => {
  const start = performance.now();
  for (const unit of ['\u001b]', '\u0090', '\u001b[0', '\u009b', '\u001b', '\r'])
    textOf([bytes(unit.repeat(60_000)), bytes(unit.repeat(60_000))]);
  // Quadratic searching takes minutes.
  assert.ok(performance.now() - start < 20_000);
});

test('a sequence that is cut in its middle is dropped whole, and one that is too long is none, however it is cut', () => {
  const outputs = [
    'a\u001b(Bb',
    'a\u001b#8b',
    `a\u001b]0;${'x'.repeat(5000)}\u0007b`,
    `a\u0090${'x'.repeat(4096)}\u001b\\b`,
  ];
  for (const output of outputs) {
    const whole = textOf([bytes(output)]);
    for (const cut of [1, 2, 3, 4, 5, -4, -3, -2, -1]) {
      const parts = [output.slice(0, cut), output.slice(cut)].map(part => bytes(part));
      assert.equal(textOf(parts), whole, `cut at ${cut}`);
    }
  }
  assert.equal(textOf([bytes('a\u001b(Bb')]), 'ab\n');
});
