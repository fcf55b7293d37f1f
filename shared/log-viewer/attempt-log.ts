import type { LogEvent } from '../log.ts';
import { type ByteRange, LogWindow } from '../log-model/log-window.ts';
import type { LogSource } from './log-source.ts';

/** Rows nearer to an end of what is at hand than this make it read on. */
const READ_AHEAD_ROWS = 300;

export interface AttemptLogOptions {
  readonly source: LogSource | undefined;
  readonly fence: number;
  /** Where the log is first shown. */
  readonly offset: number;
  /** Other rows are at hand than before. */
  readonly onRead: () => void;
  readonly onFailed: (message: string) => void;
}

/** The log of one attempt: the part of it that is at hand, and reading what somebody comes near to. One part is read at a time. */
export class AttemptLog {
  readonly fence: number;
  readonly window: LogWindow;
  /** Whether the attempt is over. */
  hasEnded = false;
  readonly #options: AttemptLogOptions;
  #reading: 'before' | 'after' | 'around' | undefined;
  #isLeft = false;

  constructor(options: AttemptLogOptions) {
    this.#options = options;
    this.fence = options.fence;
    this.window = new LogWindow(options.offset);
  }

  get isJumping(): boolean {
    return this.#reading === 'around';
  }

  /** Another one is shown: nothing more is told of this one. */
  leave(): void {
    this.#isLeft = true;
  }

  /** Reads what comes before or after the rows that are seen, if that is not at hand. */
  readOn(index: number, visible: number): void {
    if (this.#reading !== undefined) return;
    const { window } = this;
    const before = index < READ_AHEAD_ROWS ? window.before() : undefined;
    const after = index + visible > window.rows.length - READ_AHEAD_ROWS ? window.after() : undefined;
    if (before) void this.#read('before', before);
    else if (after) void this.#read('after', after);
  }

  /** Leaves what is at hand, and reads around that offset. */
  async jump(offset: number): Promise<void> {
    await this.#read('around', this.window.around(offset));
  }

  /** Of a log that began before what is shown: its steps, for the list and for folds. */
  async learnSteps(): Promise<void> {
    // Without them the log can be read all the same.
    const marks = await this.#options.source?.marks(this.fence).catch(() => undefined);
    this.window.learn(marks ?? []);
  }

  /** Steps that passed are out of the way of the one that did not. */
  foldPassed(): void {
    const { steps } = this.window;
    if (!steps.some(({ end }) => end !== undefined && end.text !== 'passed')) return;
    for (const { step, end } of steps) if (end?.text === 'passed') this.window.setFolded(step, true);
  }

  /** Opens the step that hides the offset. The heading of a step has the offset of its first line, and is never hidden. */
  unfoldAt(offset: number, isHeading: boolean): void {
    for (const { step, start, end } of this.window.steps)
      if (end && (offset > start || (offset === start && !isHeading)) && offset < end.offset)
        this.window.setFolded(step, false);
  }

  async #read(what: 'before' | 'after' | 'around', range: ByteRange): Promise<void> {
    const { source, onRead, onFailed } = this.#options;
    if (!source) return;
    this.#reading = what;
    try {
      const events = await source.read(this.fence, range);
      if (this.#isLeft) return;
      this.#take(what, events, range);
      this.#reading = undefined;
      onRead();
    } catch (error) {
      if (!this.#isLeft) onFailed(error instanceof Error ? error.message : String(error));
    } finally {
      this.#reading = undefined;
    }
  }

  #take(what: 'before' | 'after' | 'around', events: readonly LogEvent[], range: ByteRange): void {
    if (what === 'before') this.window.prepend(events, range);
    else if (what === 'after') this.window.append(events, range);
    else this.window.replace(events, range);
  }
}
