import type { LogManifest } from '../../shared/log-manifest.ts';
import type { LogPiece } from '../../shared/log-piece.ts';
import type { LogPieceName } from '../../shared/log-piece-name.ts';
import { orAborted } from '../objects/until-aborted.ts';
import { type Clock, deadline, neverAborted } from '../system/clock.ts';
import { Wakeup } from '../system/wakeup.ts';
import type { LogLag } from './log-lag.ts';
import { type LogPieces, packPiece } from './log-pieces.ts';

/** Full blocks on their way to the store, each once as it is and once compressed: 12 MiB at most. `write` waits for room. */
const BLOCKS_IN_FLIGHT = 6;
/** How long a finished log's small pieces may take to be deleted before they are left where they are. */
const CLEAN_MS = 5000;

/** What one log has on its way to the object store. The first upload that fails for good is the end of the log. */
export class LogUploads implements AsyncDisposable {
  readonly #pieces: LogPieces;
  readonly #clock: Clock;
  readonly #lag: LogLag;
  readonly #failed = new AbortController();
  readonly #stop = new AbortController();
  readonly #over = AbortSignal.any([this.#failed.signal, this.#stop.signal]);
  readonly #background = new Set<Promise<void>>();
  readonly #fewer = new Wakeup();
  #blocks = 0;

  constructor(pieces: LogPieces, clock: Clock, lag: LogLag) {
    this.#pieces = pieces;
    this.#clock = clock;
    this.#lag = lag;
  }

  /** Fires when something could not be stored, with the reason. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  /** Rejects if the log has failed or was given up. */
  throwIfOver(): void {
    this.#over.throwIfAborted();
  }

  /** Waits until another full block may be sent. */
  async room(): Promise<void> {
    await this.#untilBlocks(BLOCKS_IN_FLIGHT - 1);
  }

  /** Waits until every full block is stored. */
  async blocksStored(): Promise<void> {
    await this.#untilBlocks(0);
  }

  /** Stores a full block in the background, and then does `then`. */
  sendBlock(block: LogPiece, then: (stored: number) => Promise<void>): void {
    this.#blocks++;
    const send = async () => {
      const stored = await this.put(block);
      this.#blocks--;
      const rest = then(stored);
      this.#fewer.notify();
      await rest;
    };
    this.inBackground(send());
  }

  /** @returns the size it is stored with */
  async put(piece: LogPiece, name: LogPieceName = { start: piece.start, end: piece.end }): Promise<number> {
    using _ = this.#lag.begin();
    const stored = await packPiece(piece);
    await this.#pieces.put(name, stored, this.#stop.signal).catch(error => this.fail(error));
    return stored.length;
  }

  async putManifest(manifest: LogManifest): Promise<void> {
    await this.#pieces.putManifest(manifest, this.#stop.signal).catch(error => this.fail(error));
  }

  /** Pieces that nobody needs any more. One that stays for some reason is only waste. */
  async remove(pieces: readonly LogPieceName[]): Promise<void> {
    if (pieces.length > 0) await this.#pieces.remove(pieces, this.#stop.signal).catch(() => undefined);
  }

  inBackground(work: Promise<void>): void {
    const watched = work.then(undefined, error => this.#note(error)).finally(() => this.#background.delete(watched));
    this.#background.add(watched);
  }

  fail(error: unknown): never {
    this.#note(error);
    throw error;
  }

  /** Ends all that is under way. */
  abandon(): void {
    this.#stop.abort();
  }

  /** Gives what is under way a moment. */
  async [Symbol.asyncDispose](): Promise<void> {
    using limit = deadline(this.#clock, CLEAN_MS, neverAborted);
    const done = Promise.all(this.#background);
    if (!this.#stop.signal.aborted) await orAborted(done, limit.signal).catch(() => undefined);
    this.#stop.abort();
    await done;
  }

  async #untilBlocks(most: number): Promise<void> {
    while (this.#blocks > most && !this.#over.aborted) await this.#fewer.wait(this.#over);
    this.throwIfOver();
  }

  #note(error: unknown): void {
    if (!this.#stop.signal.aborted) this.#failed.abort(error);
  }
}
