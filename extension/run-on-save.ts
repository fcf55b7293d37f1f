import { describeError } from '../shared/errors.ts';
import type { Clock } from './clock.ts';

export interface RunOnSaveOptions {
  readonly clock: Clock;
  /** Undefined if the user did not want what he was asked on the way. */
  readonly submit: (signal: AbortSignal) => Promise<{ readonly id: string } | undefined>;
  /** Ends what has not finished yet; false if it had. */
  readonly cancel: (task: string, signal: AbortSignal) => Promise<boolean>;
  readonly happened: (event: RunOnSaveEvent) => void;
}

export type RunOnSaveEvent =
  /** What ran was cancelled, as the files are others now. */
  | { readonly kind: 'superseded'; readonly task: string }
  | { readonly kind: 'submitted'; readonly task: string; readonly before: string | undefined }
  | { readonly kind: 'failed'; readonly why: string }
  /** It has ended itself: the user has said no. */
  | { readonly kind: 'refused' };

/** Several files that are saved together are one change. Milliseconds. */
const QUIET_MS = 400;

/** Whether a file, named within its folder, is among what is sent. What git keeps, such as the message of a commit that is written in VS Code, is not. */
export function isSent(path: string): boolean {
  return !path.split(/[\\/]/).includes('.git');
}

/** Runs one task each time something is saved. Of its runs one is wanted at a time: the one on the newest files. */
export class RunOnSave implements AsyncDisposable {
  readonly #options: RunOnSaveOptions;
  readonly #ending = new AbortController();
  #isWanted = false;
  #running: Promise<void> | undefined;
  #last: string | undefined;

  constructor(options: RunOnSaveOptions) {
    this.#options = options;
  }

  saved(): void {
    this.#isWanted = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** What runs already goes on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Error('Run on save was switched off'));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { happened } = this.#options;
    const { signal } = this.#ending;
    while (this.#isWanted && !signal.aborted) {
      try {
        await this.#quiet(signal);
        await this.#supersede(signal);
        await this.#submit(signal);
      } catch (error) {
        if (!signal.aborted) happened({ kind: 'failed', why: describeError(error) });
      }
    }
  }

  async #quiet(signal: AbortSignal): Promise<void> {
    while (this.#isWanted) {
      this.#isWanted = false;
      await this.#options.clock.sleep(QUIET_MS, signal);
    }
  }

  async #supersede(signal: AbortSignal): Promise<void> {
    const task = this.#last;
    if (task !== undefined && (await this.#options.cancel(task, signal)))
      this.#options.happened({ kind: 'superseded', task });
  }

  /** What is saved meanwhile waits: a submission that is broken off might have been taken, and nobody would know its task. */
  async #submit(signal: AbortSignal): Promise<void> {
    const { submit, happened } = this.#options;
    const submitted = await submit(signal);
    const before = this.#last;
    if (!submitted) {
      this.#isWanted = false;
      happened({ kind: 'refused' });
      return;
    }
    this.#last = submitted.id;
    happened({ kind: 'submitted', task: submitted.id, before });
  }
}
