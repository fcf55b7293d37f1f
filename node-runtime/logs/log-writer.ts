import { createHash } from 'node:crypto';
import type { LogMark } from '../../shared/log.ts';
import type { LogManifestPiece } from '../../shared/log-manifest.ts';
import type { LogPiece } from '../../shared/log-piece.ts';
import type { LogPieceName } from '../../shared/log-piece-name.ts';
import type { Clock } from '../system/clock.ts';
import type { LiveLog } from './live-log.ts';
import type { LogBlock } from './log-block.ts';
import { packPiece } from './log-pieces.ts';
import type { LogUploads } from './log-uploads.ts';
import type { LogSummary, LogWriter } from './logs.ts';
import type { Mask } from './mask.ts';

/** How long bytes that could begin a secret wait for what follows them. */
const HOLD_MS = 100;
/** So many small pieces of a block are replaced by one. */
const SMALL_PIECES = 64;
/** So many small pieces may be on their way at once: a slow one does not keep the next from being sent in time. */
const SMALL_IN_FLIGHT = 4;
/** A last piece up to this size goes into the manifest: a task that prints a few lines costs one put. */
const INLINE_BYTES = 65_536;

export interface LogWriterParts {
  readonly live: LiveLog;
  readonly uploads: LogUploads;
  readonly mask: Mask;
  readonly clock: Clock;
  /** How long a byte waits for others before it is stored with them, in milliseconds. */
  readonly flushMs: number;
  /** Called once, when nothing more will be written. */
  readonly closed: () => void;
}

type SmallPiece = LogPieceName & {
  /** Its size, once it is stored. */
  stored?: number;
};

/** Cuts an attempt's output into pieces and stores them. */
export class PieceLogWriter implements LogWriter {
  readonly #live: LiveLog;
  readonly #uploads: LogUploads;
  readonly #mask: Mask;
  readonly #clock: Clock;
  readonly #flushMs: number;
  readonly #closed: () => void;
  /** Ends the pauses. */
  readonly #hurry = new AbortController();
  readonly #hash = createHash('sha256');
  readonly #manifest: LogManifestPiece[] = [];
  #firstNotStored = 0;
  #state: 'open' | 'finishing' | 'closed' = 'open';
  /** Writes that have not resolved: the first of them waits for room, the others for their turn. */
  #writing = 0;
  #lastWrite: Promise<void> = Promise.resolve();
  /** What has been handed to the store: bytes before this offset, and this many marks. */
  #cut = { offset: 0, marks: 0 };
  /** When the oldest byte or mark came that is not cut yet. */
  #waitingSince = 0;
  /** Small pieces of the open block. */
  #small: SmallPiece[] = [];
  #flushing: Promise<void> | undefined;
  /** Small pieces on their way. */
  readonly #storing = new Set<Promise<void>>();
  #releasing: Promise<void> | undefined;

  constructor(parts: LogWriterParts) {
    this.#live = parts.live;
    this.#uploads = parts.uploads;
    this.#mask = parts.mask;
    this.#clock = parts.clock;
    this.#flushMs = parts.flushMs;
    this.#closed = parts.closed;
  }

  get failed(): AbortSignal {
    return this.#uploads.failed;
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
    this.#noteWaiting();
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
    await this.#smallStored();
    await this.#uploads.blocksStored();
    const summary = await this.#storeEnd();
    this.#close('finished');
    return summary;
  }

  /** Without `finish` before it: what is not stored is lost, and the log has no manifest. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state !== 'closed') this.#uploads.abandon();
    this.#close('lost');
    this.#hurry.abort();
    await Promise.all([this.#flushing, this.#releasing]);
    await this.#smallStored();
    await this.#uploads[Symbol.asyncDispose]();
  }

  #close(reason: 'finished' | 'lost'): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#live.finish(reason);
    this.#closed();
  }

  async #writeNow(bytes: Uint8Array): Promise<void> {
    try {
      for (const part of this.#mask.push(bytes)) await this.#append(part);
    } finally {
      this.#writing--;
    }
    this.#releaseLater();
  }

  async #append(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; rest = rest.subarray(this.#take(rest))) {
      this.#uploads.throwIfOver();
      if (this.#live.open.isFull) await this.#uploads.room();
      if (this.#live.open.isFull) this.#live.openNext();
    }
  }

  /** Takes as many of the bytes as fit into the open block. */
  #take(bytes: Uint8Array): number {
    this.#noteWaiting();
    const taken = this.#live.append(bytes, this.#clock.now());
    if (this.#live.open.isFull) this.#storeFullBlock(this.#live.open);
    else this.#flushSoon();
    return taken;
  }

  /** Held-back bytes turned out to be harmless. They are too few to wait for room. */
  #release(parts: readonly Uint8Array[]): void {
    for (const part of parts) {
      for (let rest = part; rest.length > 0; rest = rest.subarray(this.#take(rest)))
        if (this.#live.open.isFull) this.#live.openNext();
    }
  }

  #releaseLater(): void {
    if (this.#mask.held === 0 || this.#releasing !== undefined) return;
    const { pushed } = this.#mask;
    this.#releasing = this.#pause(HOLD_MS).then(() => {
      this.#releasing = undefined;
      if (this.#state !== 'open' || this.#writing > 0) return;
      if (this.#mask.pushed === pushed) this.#release(this.#mask.release());
      else this.#releaseLater();
    });
  }

  #storeFullBlock(block: LogBlock): void {
    const small = this.#small;
    const smallStored = this.#smallStored();
    this.#small = [];
    const piece = this.#piece(block, block.start, block.end);
    this.#cut = { offset: block.end, marks: piece.firstMark + piece.marks.length };
    const entry = this.#addToManifest(piece);
    this.#uploads.sendBlock(piece, async stored => {
      entry.stored = stored;
      this.#blockStored();
      await smallStored;
      await this.#uploads.remove(small);
    });
  }

  /** Tells the live log how far everything is stored: blocks may get there out of order. */
  #blockStored(): void {
    while (this.#manifest[this.#firstNotStored]?.stored) this.#firstNotStored++;
    this.#live.stored(this.#manifest[this.#firstNotStored - 1]?.end ?? 0);
  }

  /** Remembers since when something waits to be stored. */
  #noteWaiting(): void {
    if (!this.#isWaiting()) this.#waitingSince = this.#clock.monotonic();
  }

  #isWaiting(): boolean {
    return this.#live.bytes > this.#cut.offset || this.#live.marks.length > this.#cut.marks;
  }

  #flushSoon(): void {
    if (this.#state !== 'open') return;
    this.#flushing ??= this.#flushWhileWaiting().finally(() => {
      this.#flushing = undefined;
    });
  }

  async #flushWhileWaiting(): Promise<void> {
    while (this.#isWaiting() && !this.#hurry.signal.aborted) {
      const wait = this.#waitingSince + this.#flushMs - this.#clock.monotonic();
      if (wait > 0) await this.#pause(wait);
      else if (this.#storing.size < SMALL_IN_FLIGHT) this.#beginStoring();
      else await Promise.race(this.#storing);
    }
  }

  #beginStoring(): void {
    // A failure has been noted and fires `failed`; nothing is to be done about it here.
    const storing = this.#storeWaiting()
      .catch(() => undefined)
      .finally(() => this.#storing.delete(storing));
    this.#storing.add(storing);
  }

  /** Waits for the small pieces that are on their way by now. One that asks before it first waits is not yet among them itself. */
  async #smallStored(): Promise<void> {
    await Promise.all(this.#storing);
  }

  /** Stores what has come since the last piece: as a small piece, or with the others of the block when these are many. */
  async #storeWaiting(): Promise<void> {
    const { open, marks } = this.#live;
    const isMany = this.#small.length + 1 >= SMALL_PIECES;
    const from = isMany ? open.start : Math.max(this.#cut.offset, open.start);
    const to = open.end;
    const firstMark = Math.max(this.#cut.marks, this.#live.marksBefore(to));
    const puts: Promise<void>[] = [];
    if (this.#cut.offset < to) puts.push(this.#storeSmall(open, from, to));
    if (firstMark < marks.length) puts.push(this.#storeMarks(open, to, firstMark));
    this.#cut = { offset: to, marks: marks.length };
    await Promise.all(puts);
  }

  async #storeSmall(block: LogBlock, from: number, to: number): Promise<void> {
    const replaced = from === block.start ? this.#small : [];
    const small: SmallPiece = { start: from, end: to };
    this.#small = [...this.#small.slice(replaced.length), small];
    const before = this.#smallStored();
    small.stored = await this.#uploads.put(this.#piece(block, from, to));
    this.#uploads.inBackground(before.then(() => this.#uploads.remove(replaced)));
  }

  /** Marks with no bytes after them yet: a step that is silent for long has its heading nevertheless. */
  async #storeMarks(block: LogBlock, offset: number, firstMark: number): Promise<void> {
    const small: SmallPiece = { start: offset, end: offset, firstMark };
    this.#small.push(small);
    const marks = this.#live.marks.slice(firstMark);
    // Whoever reads marks of one place takes the later ones for all that there are.
    await this.#smallStored();
    small.stored = await this.#uploads.put({ ...this.#piece(block, offset, offset), firstMark, marks }, small);
  }

  #piece(block: LogBlock, start: number, end: number): LogPiece {
    const firstMark = this.#live.marksBefore(start);
    const marks = this.#live.marks.slice(firstMark, this.#live.marksBefore(end));
    return { ...block.piece(start, end), firstMark, marks };
  }

  async #storeEnd(): Promise<LogSummary> {
    const { open, marks, bytes } = this.#live;
    const summary = { bytes, lines: open.linesBefore(open.end) };
    if (bytes === 0 && marks.length === 0) return summary;
    if (open.end > open.start && !open.isFull) await this.#storeLastBlock(this.#piece(open, open.start, open.end));
    const sha256 = this.#hash.digest('hex');
    await this.#uploads.putManifest({ v: 1, ...summary, sha256, pieces: this.#manifest, marks: [...marks] });
    this.#uploads.inBackground(this.#uploads.remove(this.#small));
    return summary;
  }

  async #storeLastBlock(piece: LogPiece): Promise<void> {
    const entry = this.#addToManifest(piece);
    if (piece.bytes.length <= INLINE_BYTES) {
      const stored = await packPiece(piece);
      entry.stored = stored.length;
      entry.inline = Buffer.from(stored).toString('base64');
      return;
    }
    const same = this.#small.find(({ start, end }) => start === piece.start && end === piece.end);
    entry.stored = same?.stored ?? (await this.#uploads.put(piece));
    this.#small = this.#small.filter(small => small !== same);
  }

  #addToManifest({ start, end, firstLine, times, bytes }: LogPiece): LogManifestPiece {
    this.#hash.update(bytes);
    const [firstTime, lastTime] = [times[0]!.time, times.at(-1)!.time];
    const entry: LogManifestPiece = { start, end, firstLine, firstTime, lastTime, stored: 0 };
    this.#manifest.push(entry);
    return entry;
  }

  async #pause(ms: number): Promise<void> {
    await this.#clock.sleep(ms, this.#hurry.signal).catch(() => undefined);
  }
}
