import { createHash } from 'node:crypto';
import type { LogMark } from '../../shared/log.ts';
import type { LogManifest, LogManifestPiece } from '../../shared/log-manifest.ts';
import type { LogPiece } from '../../shared/log-piece.ts';
import type { LogPieceName } from '../../shared/log-piece-name.ts';
import { orAborted } from '../objects/until-aborted.ts';
import { type Clock, deadline, neverAborted } from '../system/clock.ts';
import { Wakeup } from '../system/wakeup.ts';
import type { LiveLog } from './live-log.ts';
import type { LogBlock } from './log-block.ts';
import { type LogPieces, packPiece } from './log-pieces.ts';
import type { LogSummary, LogWriter } from './logs.ts';
import type { Mask } from './mask.ts';

/** How long a byte waits for others before it is stored with them. With the time to store it, at most 1 s is ever lost. */
const FLUSH_MS = 500;
/** How long bytes that could begin a secret wait for what follows them. */
const HOLD_MS = 100;
/** Full blocks on their way to the store, each once as it is and once compressed: 12 MiB at most. `write` waits for room. */
const BLOCKS_IN_FLIGHT = 6;
/** So many small pieces of a block are replaced by one. */
const SMALL_PIECES = 64;
/** A last piece up to this size goes into the manifest: a task that prints a few lines costs one put. */
const INLINE_BYTES = 65_536;
/** How long a finished log's small pieces may take to be deleted before they are left where they are. */
const CLEAN_MS = 5000;

export interface LogWriterParts {
  readonly live: LiveLog;
  readonly pieces: LogPieces;
  readonly mask: Mask;
  readonly clock: Clock;
  /** Called once, when nothing more will be written. */
  readonly closed: () => void;
}

/** Cuts an attempt's output into pieces and stores them. */
export class PieceLogWriter implements LogWriter {
  readonly #live: LiveLog;
  readonly #pieces: LogPieces;
  readonly #mask: Mask;
  readonly #clock: Clock;
  readonly #closed: () => void;
  readonly #failed = new AbortController();
  /** Ends everything under way. */
  readonly #stop = new AbortController();
  /** Ends the pauses only: what is being stored is stored to its end. */
  readonly #hurry = new AbortController();
  readonly #over = AbortSignal.any([this.#failed.signal, this.#stop.signal]);
  readonly #room = new Wakeup();
  readonly #hash = createHash('sha256');
  readonly #manifest: LogManifestPiece[] = [];
  readonly #background = new Set<Promise<unknown>>();
  #state: 'open' | 'finishing' | 'closed' = 'open';
  /** Writes that have not resolved: the first of them waits for room, the others for their turn. */
  #writing = 0;
  #lastWrite: Promise<void> = Promise.resolve();
  #blocksInFlight = 0;
  /** What has been handed to the store, or is on its way there: bytes before this offset, and this many marks. */
  #cut = { offset: 0, marks: 0 };
  /** Small pieces of the open block. */
  #small: LogPieceName[] = [];
  /** When the oldest byte or mark came that is not cut yet. */
  #waitingSince = 0;
  #flushing: Promise<void> | undefined;
  /** The small piece that is being stored. */
  #storing: Promise<void> = Promise.resolve();
  #firstNotStored = 0;
  #releasing: Promise<void> | undefined;

  constructor(parts: LogWriterParts) {
    this.#live = parts.live;
    this.#pieces = parts.pieces;
    this.#mask = parts.mask;
    this.#clock = parts.clock;
    this.#closed = parts.closed;
  }

  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#state !== 'open') throw new Error('write after finish');
    const write = this.#writing++ === 0 ? this.#writeNow(bytes) : this.#lastWrite.then(() => this.#writeNow(bytes));
    this.#lastWrite = write.catch(() => undefined);
    return write;
  }

  mark(kind: LogMark['kind'], text: string, step?: number): void {
    if (this.#state !== 'open') throw new Error('mark after finish');
    this.#release(this.#mask.flush());
    this.#waitForFlush();
    const mark = { offset: this.#live.bytes, time: this.#clock.now(), kind, text: this.#mask.text(text) };
    this.#live.mark(step === undefined ? mark : { ...mark, step });
    this.#flushSoon();
  }

  async finish(): Promise<LogSummary> {
    if (this.#state !== 'open') throw new Error('finish after finish');
    this.#state = 'finishing';
    await this.#lastWrite;
    for (const part of this.#mask.flush()) await this.#append(part);
    this.#hurry.abort();
    await this.#flushing;
    await this.#untilInFlight(0);
    const summary = await this.#storeEnd().catch(error => this.#fail(error));
    this.#close('finished');
    return summary;
  }

  async #writeNow(bytes: Uint8Array): Promise<void> {
    try {
      for (const part of this.#mask.push(bytes)) await this.#append(part);
    } finally {
      this.#writing--;
    }
    this.#releaseLater();
  }

  /** Without `finish` before it: what is not stored is lost, and the log has no manifest. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#close('lost');
    this.#hurry.abort();
    if (this.#live.end === 'lost') this.#stop.abort();
    else await this.#clean();
    await Promise.all([this.#flushing, this.#releasing, ...this.#background]);
  }

  /** Gives the last deletions a moment. */
  async #clean(): Promise<void> {
    using limit = deadline(this.#clock, CLEAN_MS, neverAborted);
    await orAborted(Promise.all(this.#background), limit.signal).catch(() => undefined);
    this.#stop.abort();
  }

  #close(reason: 'finished' | 'lost'): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#live.finish(reason);
    this.#closed();
  }

  async #append(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      this.#over.throwIfAborted();
      if (this.#live.open.isFull) {
        await this.#untilInFlight(BLOCKS_IN_FLIGHT - 1);
        if (this.#live.open.isFull) this.#live.openNext();
      }
      rest = rest.subarray(this.#take(rest));
    }
  }

  async #untilInFlight(most: number): Promise<void> {
    while (this.#blocksInFlight > most && !this.#over.aborted) await this.#room.wait(this.#over);
    this.#over.throwIfAborted();
  }

  #take(bytes: Uint8Array): number {
    this.#waitForFlush();
    const taken = this.#live.append(bytes, this.#clock.now());
    if (this.#live.open.isFull) this.#storeFullBlock(this.#live.open);
    else this.#flushSoon();
    return taken;
  }

  /** Held-back bytes that turned out to be harmless. They are few: the open block takes them, or they wait a little longer. */
  #release(parts: Iterable<Uint8Array>): void {
    for (const part of parts) {
      for (let rest = part; rest.length > 0; ) {
        if (this.#live.open.isFull) this.#live.openNext();
        rest = rest.subarray(this.#take(rest));
      }
    }
  }

  #releaseLater(): void {
    if (this.#mask.held === 0 || this.#releasing !== undefined) return;
    const held = this.#mask.pushed;
    this.#releasing = this.#pause(HOLD_MS).then(() => {
      this.#releasing = undefined;
      if (this.#state !== 'open' || this.#writing > 0) return;
      if (this.#mask.pushed === held) this.#release(this.#mask.release());
      else this.#releaseLater();
    });
  }

  #storeFullBlock(block: LogBlock): void {
    const small = this.#small;
    const lastSmall = this.#storing;
    this.#small = [];
    this.#cut = { offset: block.end, marks: this.#marksBefore(block.end) };
    this.#hash.update(block.stretch().bytes);
    this.#blocksInFlight++;
    const entry = this.#addToManifest(block);
    const store = async () => {
      entry.stored = await this.#storePiece(block, block.start, block.end);
      this.#blocksInFlight--;
      this.#blockStored();
      this.#room.notify();
      await lastSmall;
      await this.#removeSmall(small);
    };
    this.#inBackground(store());
  }

  /** Tells the live log how far everything is stored: blocks may get there out of order. */
  #blockStored(): void {
    while (this.#manifest[this.#firstNotStored]?.stored) this.#firstNotStored++;
    this.#live.stored(this.#manifest[this.#firstNotStored - 1]?.end ?? 0);
  }

  /** Remembers when the first byte came that waits to be stored. */
  #waitForFlush(): void {
    if (!this.#isWaiting()) this.#waitingSince = this.#clock.monotonic();
  }

  #isWaiting(): boolean {
    return this.#live.bytes > this.#cut.offset || this.#live.marks.length > this.#cut.marks;
  }

  #flushSoon(): void {
    if (this.#flushing !== undefined || this.#state !== 'open') return;
    this.#flushing = this.#flushWhileWaiting().finally(() => {
      this.#flushing = undefined;
    });
  }

  async #flushWhileWaiting(): Promise<void> {
    while (this.#isWaiting() && !this.#hurry.signal.aborted) {
      const wait = this.#waitingSince + FLUSH_MS - this.#clock.monotonic();
      if (wait <= 0) this.#storing = this.#storeWaiting().catch(error => this.#give(error));
      await (wait > 0 ? this.#pause(wait) : this.#storing);
    }
  }

  /** Stores what has come since the last piece: as a small piece, or with the others of the block when these are many. */
  async #storeWaiting(): Promise<void> {
    const { open } = this.#live;
    const from = this.#small.length + 1 < SMALL_PIECES ? Math.max(this.#cut.offset, open.start) : open.start;
    const to = open.end;
    const marksHere = this.#live.marks.length;
    const puts: Promise<unknown>[] = [];
    if (this.#cut.offset < to) puts.push(this.#storeSmall(open, from, to));
    const firstMark = Math.max(this.#cut.marks, this.#marksBefore(to));
    if (firstMark < marksHere) puts.push(this.#storeMarks(to, firstMark));
    this.#cut = { offset: to, marks: marksHere };
    await Promise.all(puts);
  }

  async #storeSmall(block: LogBlock, from: number, to: number): Promise<void> {
    const replaced = from === block.start ? this.#small : [];
    const small = from === block.start ? [] : this.#small;
    small.push({ start: from, end: to });
    this.#small = small;
    await this.#storePiece(block, from, to);
    this.#inBackground(this.#removeSmall(replaced));
  }

  async #storeMarks(offset: number, firstMark: number): Promise<void> {
    const name = { start: offset, end: offset, firstMark };
    this.#small.push(name);
    const marks = this.#live.marks.slice(firstMark);
    const piece = { ...name, firstLine: this.#live.open.linesBefore(offset), lines: 0, times: [], marks };
    await this.#pieces.put(name, await packPiece({ ...piece, bytes: new Uint8Array() }), this.#stop.signal);
  }

  /** @returns the size it was stored with */
  async #storePiece(block: LogBlock, from: number, to: number): Promise<number> {
    const stored = await packPiece(this.#piece(block, from, to));
    await this.#pieces.put({ start: from, end: to }, stored, this.#stop.signal);
    return stored.length;
  }

  #piece(block: LogBlock, from: number, to: number): LogPiece {
    const { bytes, times } = block.stretch(from, to);
    const firstLine = block.linesBefore(from);
    const firstMark = this.#marksBefore(from);
    const marks = this.#live.marks.slice(firstMark, this.#marksBefore(to));
    return {
      start: from,
      end: to,
      firstLine,
      lines: block.linesBefore(to) - firstLine,
      times,
      firstMark,
      marks,
      bytes,
    };
  }

  async #storeEnd(): Promise<LogSummary> {
    const { open, marks, bytes } = this.#live;
    const summary = { bytes, lines: open.linesBefore(open.end) };
    if (bytes === 0 && marks.length === 0) return summary;
    if (open.end > open.start && !open.isFull) await this.#storeLastBlock(open);
    const sha256 = this.#hash.digest('hex');
    const manifest = { v: 1, ...summary, sha256, pieces: this.#manifest, marks } satisfies LogManifest;
    await this.#pieces.putManifest(manifest, this.#stop.signal);
    this.#inBackground(this.#removeSmall(this.#small));
    return summary;
  }

  async #storeLastBlock(block: LogBlock): Promise<void> {
    const { bytes } = block.stretch();
    this.#hash.update(bytes);
    const entry = this.#addToManifest(block);
    if (bytes.length <= INLINE_BYTES) {
      const stored = await packPiece(this.#piece(block, block.start, block.end));
      entry.stored = stored.length;
      entry.inline = Buffer.from(stored).toString('base64');
    } else {
      entry.stored = await this.#storePiece(block, block.start, block.end);
      this.#small = this.#small.filter(piece => piece.start !== block.start || piece.end !== block.end);
    }
  }

  #addToManifest(block: LogBlock): LogManifestPiece {
    const { times } = block.stretch();
    const { start, end, firstLine } = block;
    const [firstTime, lastTime] = [times[0]!.time, times.at(-1)!.time];
    const entry: LogManifestPiece = { start, end, firstLine, firstTime, lastTime, stored: 0 };
    this.#manifest.push(entry);
    return entry;
  }

  /** Small pieces that nobody needs any more. One that stays for some reason is only waste. */
  async #removeSmall(pieces: readonly LogPieceName[]): Promise<void> {
    if (pieces.length > 0) await this.#pieces.remove(pieces, this.#stop.signal).catch(() => undefined);
  }

  #marksBefore(offset: number): number {
    return this.#live.marks.findLastIndex(mark => mark.offset < offset) + 1;
  }

  #inBackground(work: Promise<void>): void {
    const watched = work.catch(error => this.#give(error)).finally(() => this.#background.delete(watched));
    this.#background.add(watched);
  }

  async #pause(ms: number): Promise<void> {
    await this.#clock.sleep(ms, this.#hurry.signal).catch(() => undefined);
  }

  #give(error: unknown): void {
    if (!this.#stop.signal.aborted) this.#failed.abort(error);
  }

  #fail(error: unknown): never {
    this.#give(error);
    throw error;
  }
}
