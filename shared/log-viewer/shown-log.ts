import * as l10n from '@vscode/l10n';
import type { LogEvent } from '../log.ts';
import { type LogRow, type LogWindow, outputKey, stepKey } from '../log-model/log-window.ts';
import type { LogPlace } from '../log-model/panel-messages.ts';
import { offsetOfThumb } from '../log-model/scroll-position.ts';
import { AttemptLog } from './attempt-log.ts';
import { LineCursor } from './line-cursor.ts';
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
  readonly cursor = new LineCursor();
  readonly #options: ShownLogOptions;
  #log: AttemptLog | undefined;
  #attempt: number | undefined;
  /** Where to go once the log has come that far. */
  #goTo: LogPlace | undefined;
  #note: string | undefined;
  #problem: string | undefined;
  /** Why a part could not be read, until one can be. */
  #readProblem: string | undefined;
  #isLost = false;

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

  /** Whether the attempt is over. */
  get hasEnded(): boolean {
    return this.#log?.hasEnded === true;
  }

  /** Whether nobody saw the end of the attempt: its node was gone. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Why nothing more can be shown. */
  get problem(): string | undefined {
    return this.#problem ?? this.#readProblem;
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
  restart(attempt: number | undefined, place: LogPlace | undefined): void {
    this.#attempt = attempt;
    this.#goTo = place;
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
    this.#arrive();
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

  async toLastLine(): Promise<void> {
    await this.toEnd();
    this.moveCursor(Number.POSITIVE_INFINITY);
  }

  async toFirstLine(): Promise<void> {
    const log = await this.#reach(0, true);
    if (!log) return;
    this.viewport.show(0, log.window.rows);
    this.cursor.choose(log.window.rows[0]);
    this.#moved();
  }

  /** Brings the line at the offset into sight, wherever it is, and chooses it. */
  async show(offset: number, key = outputKey(offset)): Promise<void> {
    const log = await this.#reach(offset, key !== outputKey(offset));
    if (!log) return;
    const { rows } = log.window;
    this.viewport.show(offset, rows);
    this.cursor.choose(rows.find(row => row.key === key) ?? rows.find(row => row.offset >= offset));
    this.#moved();
  }

  choose(row: LogRow): void {
    this.cursor.choose(row);
    this.#options.onMoved();
  }

  /** Chooses the line so many rows further, and brings it into sight. */
  moveCursor(by: number): void {
    const window = this.#log?.window;
    if (!window || window.rows.length === 0) return;
    const index = this.cursor.indexAfter(by, window.rows, this.viewport);
    this.viewport.reveal(index, by, window);
    this.cursor.choose(window.rows[index]);
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
    await this.#putAtTop(offsetOfThumb(start, length, log.window.size));
  }

  fold(step: number, isFolded: boolean): void {
    const window = this.#log?.window;
    if (!window) return;
    if (!isFolded) this.viewport.letGo(window.size);
    window.setFolded(step, isFolded);
    this.#changed();
  }

  /** Folds or unfolds the chosen step; from a line of a step, to its heading. */
  foldChosen(isFolded: boolean): void {
    const row = this.window?.rows.find(({ key }) => key === this.cursor.key);
    if (!row) return;
    if (row.kind === 'step') this.fold(row.step, isFolded);
    else if (isFolded) this.#toHeading(row.offset);
  }

  #toHeading(offset: number): void {
    const step = this.window?.steps.findLast(({ start }) => start <= offset);
    if (step) void this.show(step.start, stepKey(step.step));
  }

  #begin({ fence, offset, attempt, node }: AttemptEvent): void {
    const isNext = this.#log !== undefined && this.#log.fence !== fence;
    const before = this.#attempt;
    this.#forget();
    if (isNext) this.#note = l10n.t`Attempt ${before ?? 1} did not finish; attempt ${attempt} runs on ${node}`;
    this.#attempt = attempt;
    if (this.#goTo?.attempt !== undefined && this.#goTo.attempt !== attempt) this.#goTo = undefined;
    this.#log = new AttemptLog({
      source: this.#options.source(),
      fence,
      offset,
      onRead: () => this.#read(),
      onFailed: message => this.#read(message),
    });
    if (offset > 0) void this.#learnSteps(this.#log);
  }

  #read(problem?: string): void {
    this.#readProblem = problem;
    if (problem === undefined) this.#changed();
    else this.#options.onChanged();
  }

  /** Goes where it was asked to begin, once that is there. */
  #arrive(): void {
    const place = this.#goTo;
    const log = this.#log;
    if (!place || !log || (place.offset >= log.window.size && !log.hasEnded)) return;
    this.#goTo = undefined;
    if (place.kind === 'line') void this.show(place.offset);
    else void this.#putAtTop(place.offset);
  }

  /** Reads what lies around the offset, if it is not at hand. Undefined if another log is shown by then. */
  async #reach(offset: number, isHeading: boolean): Promise<AttemptLog | undefined> {
    const log = this.#log;
    if (!log) return undefined;
    this.viewport.letGo(log.window.size);
    log.unfoldAt(offset, isHeading);
    if (!log.window.isAtHand(offset)) await log.jump(offset);
    return log === this.#log ? log : undefined;
  }

  async #putAtTop(offset: number): Promise<void> {
    const log = await this.#reach(offset, true);
    if (!log) return;
    this.viewport.putAtTop(offset, log.window.rows);
    this.#moved();
  }

  #follow(events: readonly LogEvent[]): void {
    this.#log?.window.follow(events, this.viewport.isFollowing);
  }

  #ended(reason: 'finished' | 'lost'): void {
    if (reason === 'lost') {
      this.#isLost = true;
      this.#note = l10n.t('The attempt was lost with its node: its last second of output may be missing');
    }
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
    this.#readProblem = undefined;
    this.#note = undefined;
    this.#isLost = false;
    this.viewport.reset();
    this.cursor.choose(undefined);
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
