import type { LogEvent } from '../log.ts';
import type { LogWindow } from '../log-model/log-window.ts';
import { offsetOfThumb } from '../log-model/scroll-position.ts';
import { AttemptLog } from './attempt-log.ts';
import type { LogSource } from './log-source.ts';
import { Viewport } from './viewport.ts';

type AttemptEvent = Extract<LogEvent, { kind: 'attempt' }>;

export interface ShownLogOptions {
  readonly source: () => LogSource | undefined;
  /** Something has to be drawn anew. */
  readonly onChanged: () => void;
  /** Somebody is elsewhere now. */
  readonly onMoved: () => void;
  /** Another attempt, or another log: what was known of the one before is void. */
  readonly onRestarted: () => void;
}

/** The log that is shown: how it begins, goes on with the next attempt and ends, and where in it one is. */
export class ShownLog {
  readonly viewport = new Viewport();
  readonly #options: ShownLogOptions;
  #log: AttemptLog | undefined;
  #attempt: number | undefined;
  /** Where to go once the log has begun. */
  #goTo: number | undefined;
  #note: string | undefined;
  #problem: string | undefined;

  constructor(options: ShownLogOptions) {
    this.#options = options;
  }

  get attempt(): number | undefined {
    return this.#attempt;
  }

  /** Undefined: no attempt has begun. */
  get window(): LogWindow | undefined {
    return this.#log?.window;
  }

  get fence(): number | undefined {
    return this.#log?.fence;
  }

  /** Why nothing more can be shown. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** What is to be known of how the attempt ended, or the one before it. */
  get note(): string | undefined {
    return this.#note;
  }

  /** The offset of the first row that is seen; undefined while it follows. */
  get offset(): number | undefined {
    return this.viewport.isFollowing ? undefined : this.window?.rows[this.viewport.index]?.offset;
  }

  /** Another log, or another attempt at it. */
  restart(attempt: number | undefined, offset: number | undefined): void {
    this.#attempt = attempt;
    this.#goTo = offset;
    this.#forget();
  }

  /** What the log goes on with. */
  push(events: readonly LogEvent[]): void {
    let rest = events;
    for (let at = rest.findIndex(isAttempt); at >= 0; at = rest.findIndex(isAttempt)) {
      this.#follow(rest.slice(0, at));
      this.#begin(rest[at] as AttemptEvent);
      rest = rest.slice(at + 1);
    }
    this.#follow(rest);
    for (const event of rest) if (event.kind === 'end') this.#ended(event.reason);
    this.#changed();
  }

  failed(message: string): void {
    this.#problem = message;
    this.#options.onChanged();
  }

  measure(view: HTMLElement): void {
    this.viewport.measure(view);
    this.#changed();
  }

  scrollBy(rows: number): void {
    if (!this.#log) return;
    this.viewport.scrollBy(rows, this.#log.window);
    this.#moved();
  }

  async toEnd(): Promise<void> {
    const log = this.#log;
    if (!log) return;
    if (!log.window.reachesEnd) await log.jump(log.window.size);
    if (log !== this.#log) return;
    this.viewport.follow();
    this.#changed();
    this.#options.onMoved();
  }

  /** Brings the line at the offset into sight, wherever it is. */
  async show(offset: number): Promise<void> {
    const log = this.#log;
    if (!log) return;
    this.viewport.letGo(log.window.size);
    log.unfoldAt(offset);
    if (!log.window.isAtHand(offset)) await log.jump(offset);
    if (log !== this.#log) return;
    this.viewport.show(offset, log.window.rows);
    this.#moved();
  }

  /** To where the scroll bar's thumb begins. */
  async pullTo(start: number): Promise<void> {
    const log = this.#log;
    if (!log) return;
    const { length } = this.viewport.thumb(log.window);
    if (start >= 1 - length) return this.toEnd();
    // While something is read on the way, the last place asked for counts.
    if (log.isJumping) return;
    const offset = offsetOfThumb(start, length, log.window.size);
    this.viewport.letGo(log.window.size);
    if (!log.window.isAtHand(offset)) await log.jump(offset);
    if (log !== this.#log) return;
    this.viewport.putAtTop(offset, log.window.rows);
    this.#moved();
  }

  fold(step: number, isFolded: boolean): void {
    const window = this.#log?.window;
    if (!window) return;
    if (!isFolded) this.viewport.letGo(window.size);
    window.setFolded(step, isFolded);
    this.#changed();
  }

  #begin({ fence, offset, attempt, node }: AttemptEvent): void {
    const isNext = this.#log !== undefined && this.#log.fence !== fence;
    const before = this.#attempt;
    this.#forget();
    if (isNext) this.#note = `Attempt ${before} did not finish; attempt ${attempt} runs on ${node}`;
    this.#attempt = attempt;
    this.#log = new AttemptLog({
      source: this.#options.source(),
      fence,
      offset,
      onChanged: () => this.#changed(),
      onFailed: message => this.failed(message),
    });
    if (offset > 0) void this.#learnSteps(this.#log);
    const goTo = this.#goTo;
    this.#goTo = undefined;
    if (goTo !== undefined) void this.show(goTo);
  }

  #follow(events: readonly LogEvent[]): void {
    this.#log?.window.follow(events, this.viewport.isFollowing);
  }

  #ended(reason: 'finished' | 'lost'): void {
    if (reason === 'lost') this.#note = 'The attempt was lost with its node: its last second of output may be missing';
    if (!this.#log) return;
    this.#log.hasEnded = true;
    this.#foldPassed(this.#log);
  }

  /** An attempt that is over is read, not watched. Whoever reads already keeps what he reads. */
  #foldPassed(log: AttemptLog): void {
    if (this.viewport.isFollowing) log.foldPassed();
  }

  async #learnSteps(log: AttemptLog): Promise<void> {
    await log.learnSteps();
    if (log !== this.#log) return;
    if (log.hasEnded) this.#foldPassed(log);
    this.#changed();
  }

  #forget(): void {
    this.#log?.leave();
    this.#log = undefined;
    this.#problem = undefined;
    this.#note = undefined;
    this.viewport.reset();
    this.#options.onRestarted();
  }

  /** Rows came, went, or were folded. */
  #changed(): void {
    this.viewport.settle(this.#log?.window.rows ?? []);
    this.#log?.readOn(this.viewport.index, this.viewport.visible);
    this.#options.onChanged();
  }

  #moved(): void {
    this.#log?.readOn(this.viewport.index, this.viewport.visible);
    this.#options.onMoved();
  }
}

function isAttempt({ kind }: LogEvent): boolean {
  return kind === 'attempt';
}
