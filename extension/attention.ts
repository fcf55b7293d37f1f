import type { Clock } from './clock.ts';

export interface AttentionOptions {
  readonly clock: Clock;
  /** Whether somebody looks, at this moment. */
  readonly isSeen: () => boolean;
  /** Whether the user waits for something, and wants to hear of it even if nobody looks. */
  readonly isAwaited: () => boolean;
  /** What has to be there before something can be seen. */
  readonly prepare: () => Promise<void>;
  /** Keeps the connection up until what it gives is disposed of. */
  readonly want: () => Disposable;
  readonly draw: () => void;
}

/**
 * How often durations are drawn anew while somebody looks, in milliseconds. VS Code takes a row out and puts it back: a click that falls
 * on both sides of that is lost, so not more often than this.
 */
export const TICK_MS = 5000;

/** What goes on while somebody looks, and does not while nobody does: the connection, and drawing durations anew. */
export class Attention implements Disposable {
  readonly #options: AttentionOptions;
  #want: Disposable | undefined;
  #ticking: AbortController | undefined;
  #isOver = false;

  constructor(options: AttentionOptions) {
    this.#options = options;
  }

  /** Something was shown or hidden. While that is prepared for, it may change again: what counts is how it is then. */
  async changed(): Promise<void> {
    const { isSeen, prepare, draw } = this.#options;
    if (isSeen()) await prepare();
    this.#updateWant();
    if (!this.#isOver && isSeen()) {
      this.#ticking ??= this.#tick();
      draw();
    } else this.#stopTicking();
  }

  /** Something was heard of the cluster: the user may wait for nothing more. */
  heard(): void {
    if (this.#want) this.#updateWant();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#updateWant();
    this.#stopTicking();
  }

  #updateWant(): void {
    const { isSeen, isAwaited, want } = this.#options;
    if (!this.#isOver && (isSeen() || isAwaited())) this.#want ??= want();
    else {
      this.#want?.[Symbol.dispose]();
      this.#want = undefined;
    }
  }

  #tick(): AbortController {
    const ticking = new AbortController();
    void this.#keepTicking(ticking.signal);
    return ticking;
  }

  async #keepTicking(signal: AbortSignal): Promise<void> {
    const { clock, draw } = this.#options;
    for (;;) {
      await clock.sleep(TICK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      draw();
    }
  }

  #stopTicking(): void {
    this.#ticking?.abort();
    this.#ticking = undefined;
  }
}
