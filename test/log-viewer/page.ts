import type { LogEvent, LogMark } from '../../shared/log.ts';
import type { LogQuery } from '../../shared/log-model/log-search.ts';
import type { ByteRange } from '../../shared/log-model/log-window.ts';
import type { LogPlace, PanelTask } from '../../shared/log-model/panel-messages.ts';
import type { LogSource } from '../../shared/log-viewer/log-source.ts';
import { defineLogViewer, type LogViewer } from '../../shared/log-viewer/log-viewer.ts';

/** Lines of a fixed width, made when they are asked for: a log as large as one likes, of which everybody knows what is where. */
const LINE_BYTES = 100;
const encoder = new TextEncoder();

class MadeUpLog implements LogSource {
  readonly size: number;
  /** How many bytes were asked for so far. */
  asked = 0;
  /** What a search tells. */
  found: readonly number[] = [];

  constructor(lines: number) {
    this.size = lines * LINE_BYTES;
  }

  events({ from, to }: ByteRange): LogEvent[] {
    const first = Math.floor(from / LINE_BYTES);
    const text = Array.from({ length: Math.ceil(to / LINE_BYTES) - first }, (_, i) => lineText(first + i)).join('');
    const bytes = encoder.encode(text).subarray(from - first * LINE_BYTES, to - first * LINE_BYTES);
    return bytes.length === 0 ? [] : [{ kind: 'bytes', offset: from, time: from, bytes }];
  }

  async read(_: number, range: ByteRange): Promise<LogEvent[]> {
    this.asked += range.to - range.from;
    return this.events(range);
  }

  async marks(): Promise<[]> {
    return [];
  }

  async search(_fence: number, _query: LogQuery, found: (offsets: readonly number[]) => void): Promise<undefined> {
    found(this.found);
  }

  stopSearch(): void {}
}

function lineText(line: number): string {
  const color = 31 + (line % 6);
  return `\u001b[${color}mline ${line}\u001b[0m`.padEnd(LINE_BYTES - 1, '.').concat('\n');
}

defineLogViewer();
const viewer = document.createElement('log-viewer');
document.body.append(viewer);

/** What a test does with the page. */
interface Page {
  viewer: LogViewer;
  /** Opens a made-up log at its last half megabyte. */
  open(lines: number): void;
  /** Lets a log grow from nothing by so many lines, a batch a frame; resolves with the milliseconds it took. */
  grow(lines: number, batch: number): Promise<number>;
  /** A log of this text, in which a search finds the lines at these offsets. */
  push(text: string, found?: readonly number[]): void;
  /** A task with a step that passed and one that failed, over. */
  openSteps(place?: LogPlace): void;
  /** The first of two attempts, of which nothing was kept. */
  openLost(): void;
  asked(): number;
  /** How long each of so many frames took while somebody scrolls, in milliseconds. */
  scroll(frames: number, deltaY: number): Promise<number[]>;
}

let log = new MadeUpLog(0);

const frame = () => new Promise(resolve => requestAnimationFrame(resolve));
const task: PanelTask = {
  id: 'x',
  name: 'made up',
  state: 'running',
  tone: 'running',
  message: '',
  isFinished: false,
  attempts: [1],
  pastEnds: {},
};

const page: Page = {
  viewer,
  open: lines => {
    log = new MadeUpLog(lines);
    viewer.source = log;
    viewer.task = task;
    const from = Math.max(0, log.size - 524_288);
    viewer.restart(undefined);
    viewer.push([
      { kind: 'attempt', fence: 1, attempt: 1, node: 'n1', offset: from },
      ...log.events({ from, to: log.size }),
    ]);
  },
  grow: async (lines, batch) => {
    log = new MadeUpLog(lines);
    viewer.source = log;
    viewer.task = task;
    viewer.restart(undefined);
    viewer.push([{ kind: 'attempt', fence: 1, attempt: 1, node: 'n1', offset: 0 }]);
    const started = performance.now();
    for (let from = 0; from < log.size; from += batch * LINE_BYTES) {
      viewer.push(log.events({ from, to: Math.min(log.size, from + batch * LINE_BYTES) }));
      await frame();
    }
    return performance.now() - started;
  },
  push: (text, found = []) => {
    log = new MadeUpLog(0);
    log.found = found;
    viewer.source = log;
    viewer.task = task;
    viewer.restart(undefined);
    viewer.push([
      { kind: 'attempt', fence: 2, attempt: 1, node: 'n1', offset: 0 },
      { kind: 'bytes', offset: 0, time: 0, bytes: encoder.encode(text) },
    ]);
  },
  openSteps: place => {
    viewer.source = log;
    viewer.task = { ...task, state: 'failed', tone: 'failed', message: 'It ended with 3.', isFinished: true };
    viewer.restart(1, place);
    const mark = (offset: number, kind: LogMark['kind'], step: number, text: string): LogEvent => ({
      kind: 'mark',
      mark: { offset, time: offset, kind, step, text },
    });
    const bytes = (offset: number, text: string): LogEvent => ({
      kind: 'bytes',
      offset,
      time: offset,
      bytes: encoder.encode(text),
    });
    viewer.push([
      { kind: 'attempt', fence: 3, attempt: 1, node: 'n1', offset: 0 },
      mark(0, 'step-started', 0, 'Install'),
      bytes(0, 'fetched\n'),
      mark(8, 'step-finished', 0, 'passed'),
      mark(8, 'step-started', 1, 'Compile'),
      bytes(8, 'compiling\nsrc/main.c:3:10: error\nsee https://example.com/help\n'),
      mark(70, 'step-finished', 1, 'failed'),
      { kind: 'end', offset: 70, reason: 'finished' },
    ]);
  },
  openLost: () => {
    viewer.task = { ...task, attempts: [1, 2], pastEnds: { 1: 'lost with its node' } };
    viewer.restart(1);
    viewer.push([
      { kind: 'attempt', fence: 4, attempt: 1, node: 'n1', offset: 0 },
      { kind: 'end', offset: 0, reason: 'lost' },
    ]);
  },
  asked: () => log.asked,
  scroll: async (frames, deltaY) => {
    const view = viewer.shadowRoot?.querySelector('#view');
    const times: number[] = [];
    let last = performance.now();
    for (let i = 0; i < frames; i++) {
      view?.dispatchEvent(new WheelEvent('wheel', { deltaY, cancelable: true }));
      await frame();
      const now = performance.now();
      times.push(now - last);
      last = now;
    }
    return times;
  },
};

Object.assign(window, { page });
