import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { LogEvent, LogMark } from '../../shared/log.ts';
import { type ByteRange, LogWindow } from '../../shared/log-model/log-window.ts';

const encoder = new TextEncoder();

/** A log as a node has it: what is asked of it by offset. */
class TestLog {
  readonly bytes: Uint8Array;
  readonly marks: readonly LogMark[];

  constructor(text: string, marks: readonly LogMark[] = []) {
    this.bytes = encoder.encode(text);
    this.marks = marks;
  }

  /** What a node says when it is asked for the log from there on: the marks at that very offset too. */
  read({ from, to }: ByteRange): LogEvent[] {
    const events: LogEvent[] = [];
    let at = from;
    const bytesTo = (end: number) => {
      if (end > at) events.push({ kind: 'bytes', offset: at, time: at, bytes: this.bytes.subarray(at, end) });
      at = Math.max(at, end);
    };
    for (const mark of this.marks.filter(({ offset }) => offset >= from && offset <= to)) {
      bytesTo(mark.offset);
      events.push({ kind: 'mark', mark });
    }
    bytesTo(Math.min(to, this.bytes.length));
    return events;
  }

  /** A window that follows it from its last so many bytes on. */
  tail(bytes: number): LogWindow {
    const from = Math.max(0, this.bytes.length - bytes);
    const window = new LogWindow(from);
    window.follow(this.read({ from, to: this.bytes.length }));
    return window;
  }

  /** Reads on at both ends until nothing is left. */
  fill(window: LogWindow): void {
    for (let i = 0; i < 1000; i++) {
      const before = window.before();
      const after = window.after();
      if (before) window.prepend(this.read(before), before);
      else if (after) window.append(this.read(after), after);
      else return;
    }
    throw new Error('It never ends');
  }
}

function numbered(count: number): string {
  return Array.from({ length: count }, (_, i) => `line ${i}\n`).join('');
}

function texts(window: LogWindow): string[] {
  return window.rows.map(row =>
    row.kind === 'output' ? row.text : row.kind === 'step' ? `▶ ${row.text}` : `• ${row.text}`,
  );
}

function stepMarks(...steps: [start: number, end: number, outcome?: string][]): LogMark[] {
  return steps.flatMap(([start, end, outcome = 'passed'], step) => [
    { kind: 'step-started', offset: start, time: start, step, text: `step ${step}` } as const,
    { kind: 'step-finished', offset: end, time: end, step, text: outcome } as const,
  ]);
}

describe('a window over a log', () => {
  test('that opens at the end begins with a whole line', () => {
    const window = new TestLog(numbered(1000)).tail(100);
    assert.match(texts(window)[0] ?? '', /^line \d+$/);
    assert.equal(texts(window).at(-1), 'line 999');
    assert.ok(!window.reachesStart && window.reachesEnd);
  });

  test('comes to every line once, from wherever it opened', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.nat(4000), (lines, tail) => {
        const size = encoder.encode(numbered(lines)).length;
        const middle = 7 * Math.ceil(Math.min(lines, 10) / 2);
        const log = new TestLog(numbered(lines), stepMarks([0, middle], [middle, middle], [middle, size]));
        const window = log.tail(tail);
        log.fill(window);
        assert.deepEqual(
          texts(window).filter(text => text.startsWith('line')),
          numbered(lines).trimEnd().split('\n'),
        );
        assert.deepEqual(
          texts(window).filter(text => text.startsWith('▶')),
          ['▶ step 0', '▶ step 1', '▶ step 2'],
        );
      }),
    );
  });

  test('tells a failure from what somebody wanted', () => {
    const kinds = ['failed: It exited with code 3', 'cancelled: Cancelled by ann', 'cancelled'].map(
      end => new TestLog(numbered(1), stepMarks([0, 7, end])).tail(100).rows.at(-1)?.kind,
    );
    assert.deepEqual(kinds, ['failure', 'note', 'note']);
  });

  test('goes on where it is while the log grows', () => {
    const log = new TestLog(numbered(10));
    const window = new LogWindow(0);
    window.follow(log.read({ from: 0, to: 25 }));
    window.follow(log.read({ from: 25, to: 70 }));
    assert.deepEqual(texts(window), numbered(10).trimEnd().split('\n'));
  });

  test('keeps no more than 20,000 lines, and still comes to all of them', () => {
    const count = 70_000;
    const log = new TestLog(numbered(count));
    const window = log.tail(1000);
    let most = 0;
    for (let before = window.before(); before; before = window.before()) {
      window.prepend(log.read(before), before);
      most = Math.max(most, window.rows.length);
    }
    assert.ok(most <= 20_000 + 30_000 && window.rows.length <= 20_000, `${most}`);
    assert.equal(texts(window)[0], 'line 0');
    for (let after = window.after(); after; after = window.after()) window.append(log.read(after), after);
    assert.equal(texts(window).at(-1), `line ${count - 1}`);
    assert.ok(window.reachesEnd);
  });

  test('leaves the lines that somebody reads where they are while the log goes on', () => {
    const log = new TestLog(numbered(60_000));
    const window = new LogWindow(0);
    for (let from = 0; from < log.bytes.length; from += 50_000)
      window.follow(log.read({ from, to: Math.min(log.bytes.length, from + 50_000) }), false);
    assert.equal(texts(window)[0], 'line 0');
    assert.equal(window.size, log.bytes.length);
    assert.ok(window.rows.length < 30_000 && !window.reachesEnd);
  });

  test('does not ask for ever for bytes that were lost with their node', () => {
    const log = new TestLog(numbered(10));
    const window = new LogWindow(0);
    window.follow(log.read({ from: 0, to: 35 }));
    window.replace(log.read({ from: 0, to: 14 }), { from: 0, to: 14 });
    const range = window.after();
    assert.deepEqual(range, { from: 14, to: 35 });
    window.append([], range!);
    assert.equal(window.after(), undefined);
  });

  test('goes to any place', () => {
    const log = new TestLog(numbered(200_000));
    const window = log.tail(1000);
    const offset = log.bytes.length / 2;
    window.replace(log.read(window.around(offset)), window.around(offset));
    assert.ok(window.isAtHand(offset));
    assert.ok(window.after() && window.before());
  });
});

describe('steps in a window', () => {
  const text = numbered(30);
  const log = new TestLog(text, stepMarks([0, 70], [70, 150], [150, text.length, 'failed: exit code 1']));

  test('are folded away and shown again', () => {
    const window = log.tail(10_000);
    window.setFolded(1, true);
    assert.deepEqual(texts(window).slice(0, 13), [
      '▶ step 0',
      ...numbered(10).trimEnd().split('\n'),
      '▶ step 1',
      '▶ step 2',
    ]);
    window.setFolded(1, false);
    assert.equal(texts(window)[12], 'line 10');
  });

  test('that fail say so at their end', () => {
    assert.equal(texts(log.tail(10_000)).at(-1), '• failed: exit code 1');
  });

  test('are jumped over while they are folded, and read when they are opened', () => {
    const big = numbered(100_000);
    const ends = encoder.encode(big).length;
    const long = new TestLog(`${numbered(10)}${big}end\n`, stepMarks([0, 70], [70, 70 + ends], [70 + ends, 74 + ends]));
    const window = new LogWindow(0);
    window.follow(long.read({ from: 0, to: 1000 }));
    window.follow([{ kind: 'mark', mark: long.marks[3]! }], false);
    window.setFolded(1, true);
    let reads = 0;
    for (let after = window.after(); after; after = window.after(), reads++) window.append(long.read(after), after);
    assert.ok(reads <= 2, `${reads} reads`);
  });

  test('that are folded show their headings, although nothing of them was read', () => {
    const window = log.tail(text.length - 100);
    window.learn(log.marks);
    window.setFolded(0, true);
    window.setFolded(1, true);
    assert.deepEqual(texts(window).slice(0, 3), ['▶ step 0', '▶ step 1', '▶ step 2']);
    log.fill(window);
    assert.deepEqual(
      texts(window).filter(row => row.startsWith('▶')),
      ['▶ step 0', '▶ step 1', '▶ step 2'],
    );
    window.setFolded(0, false);
    log.fill(window);
    assert.equal(texts(window)[1], 'line 0');
    window.setFolded(1, false);
    log.fill(window);
    assert.deepEqual(
      texts(window).filter(row => row.startsWith('line')),
      text.trimEnd().split('\n'),
    );
  });

  test('do not lose their end when they are read from the end backwards', () => {
    const window = log.tail(20);
    log.fill(window);
    assert.deepEqual(
      window.steps.map(({ step, end }) => [step, end?.text]),
      [
        [0, 'passed'],
        [1, 'passed'],
        [2, 'failed: exit code 1'],
      ],
    );
  });
});
