import type { Clock } from '../system/clock.ts';

/** A command that was started by the step and still holds its output does not hold up the next step. */
const OUTPUT_QUIET_MS = 50;
const OUTPUT_DRAIN_LIMIT_MS = 2000;

/** Resolves when there is room for more. What it is given is good until then. */
export type WriteOutput = (bytes: Uint8Array) => Promise<void>;

/** Carries a command's output to where it shall go, such as the log, and knows when there last was some. */
export class OutputPump {
  /** Never rejects: nobody may be there to hear it for as long as the step runs. */
  readonly done: Promise<void>;
  readonly #clock: Clock;
  #lastHeard: number;
  /** There is no room where it goes, so nothing more is read: what the command does meanwhile cannot be heard. */
  #isHeld = false;
  #isDone = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(clock: Clock, output: AsyncIterable<Uint8Array>, write: WriteOutput) {
    this.#clock = clock;
    this.#lastHeard = clock.monotonic();
    this.done = this.#run(output, write);
    // Long before anybody awaits it this may fail; a log that does fires a signal of its own, which ends the attempt.
    this.done.catch(() => undefined);
  }

  /** When (`Clock.monotonic`) the last output came, or it began; now, for as long as output waits for room. */
  get lastHeard(): number {
    return this.#isHeld ? this.#clock.monotonic() : this.#lastHeard;
  }

  /** Resolves when what the command has printed before it ended is there; rejects if it could not be put there. */
  async drained(): Promise<void> {
    const limit = this.#clock.monotonic() + OUTPUT_DRAIN_LIMIT_MS;
    while (!this.#isDone && this.#clock.monotonic() < limit) {
      const over = new AbortController();
      await Promise.race([this.done, this.#clock.sleep(OUTPUT_QUIET_MS, over.signal).catch(() => undefined)]);
      over.abort();
      if (this.#clock.monotonic() - this.lastHeard >= OUTPUT_QUIET_MS) return;
    }
    if (this.#failure) throw this.#failure.error;
  }

  async #run(output: AsyncIterable<Uint8Array>, write: WriteOutput): Promise<void> {
    try {
      for await (const bytes of output) {
        this.#isHeld = true;
        await write(bytes);
        this.#isHeld = false;
        this.#lastHeard = this.#clock.monotonic();
      }
    } catch (error) {
      this.#failure = { error };
    } finally {
      this.#isHeld = false;
      this.#isDone = true;
    }
  }
}
