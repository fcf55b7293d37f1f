import { coverPieces } from '../../shared/cover-pieces.ts';
import { CiError } from '../../shared/errors.ts';
import type { LogBytesEvent, LogEndEvent, LogMark, LogMarkEvent } from '../../shared/log.ts';
import { type LogStretch, logEvents } from '../../shared/log-events.ts';
import type { LogManifest, LogManifestPiece } from '../../shared/log-manifest.ts';
import { LOG_BLOCK_BYTES, type LogPiece } from '../../shared/log-piece.ts';
import type { LogPieceName } from '../../shared/log-piece-name.ts';
import type { BlockRoom } from './block-room.ts';
import { fetchAhead } from './fetch-ahead.ts';
import type { LiveLog } from './live-log.ts';
import type { LogPieces } from './log-pieces.ts';

export type AttemptLogEvent = LogBytesEvent | LogMarkEvent | LogEndEvent;

/** A way through the log of an attempt that this node runs: in memory, and in the store what has left memory already. */
export class LiveLogReader {
  readonly #live: LiveLog;
  readonly #pieces: LogPieces;
  readonly #room: BlockRoom | undefined;
  #at: number;
  #nextMark: number;

  constructor(live: LiveLog, pieces: LogPieces, from: number, room?: BlockRoom) {
    this.#live = live;
    this.#pieces = pieces;
    this.#room = room;
    this.#at = from;
    this.#nextMark = live.marksBefore(from);
  }

  /** Until the attempt ends, or else until all was given that is there now. */
  async *read(follow: boolean, signal: AbortSignal): AsyncGenerator<AttemptLogEvent> {
    const live = this.#live;
    for (;;) {
      signal.throwIfAborted();
      yield* this.#giveMarks();
      const stretch = live.stretch(this.#at);
      if (stretch !== undefined) yield* this.#give(stretch);
      else if (this.#at < live.memoryStart) yield* this.#giveStored(signal);
      else if (live.end !== undefined) return yield { kind: 'end', offset: this.#at, reason: live.end };
      else if (!follow) return;
      else await live.changed.wait(signal);
    }
  }

  /** Those that are due before the next byte. */
  *#giveMarks(): Generator<LogMarkEvent> {
    const { marks } = this.#live;
    while (this.#nextMark < marks.length && marks[this.#nextMark]!.offset <= this.#at)
      yield { kind: 'mark', mark: marks[this.#nextMark++]! };
  }

  *#give(stretch: LogStretch): Generator<LogBytesEvent | LogMarkEvent> {
    const end = stretch.start + stretch.bytes.length;
    const marksHere = this.#live.marks.slice(this.#nextMark, this.#live.marksBefore(end));
    yield* logEvents(stretch, this.#at, marksHere);
    this.#nextMark += marksHere.length;
    this.#at = end;
  }

  /** As far as memory reaches back by then. A follower that is behind catches up: the next blocks are fetched while one is given. */
  async *#giveStored(signal: AbortSignal): AsyncGenerator<LogBytesEvent | LogMarkEvent> {
    for await (const piece of fetchAhead(
      this.#blocksBeforeMemory(),
      (name, either) => this.#block(name, either),
      signal,
      this.#room,
    ))
      yield* this.#give(piece);
  }

  /** Full blocks lie where their offset says: no need to look for them. */
  *#blocksBeforeMemory(): Generator<LogPieceName> {
    let start = Math.floor(this.#at / LOG_BLOCK_BYTES) * LOG_BLOCK_BYTES;
    for (; start < this.#live.memoryStart; start += LOG_BLOCK_BYTES) yield { start, end: start + LOG_BLOCK_BYTES };
  }

  async #block(name: LogPieceName, signal: AbortSignal): Promise<LogPiece> {
    const piece = await this.#pieces.get(name, signal);
    if (piece === undefined) throw missing(name.start);
    return piece;
  }
}

function missing(offset: number): CiError {
  return new CiError('gone', `Cannot read log as a stored piece of it is not there: the one with byte ${offset}`);
}

/** A way through the stored pieces of one attempt: what it has given is never given again, and nothing is left out. */
export class StoredLogReader {
  readonly #pieces: LogPieces;
  #at: number;
  /** The ordinal of the next mark to give; unknown until a piece tells. */
  #nextMark = 0;
  readonly #from: number;
  readonly #room: BlockRoom | undefined;

  constructor(pieces: LogPieces, from: number, room?: BlockRoom) {
    this.#pieces = pieces;
    this.#room = room;
    this.#from = from;
    this.#at = from;
  }

  get at(): number {
    return this.#at;
  }

  /** Everything that is stored now. True at the end when the log is finished and this was all of it. */
  async *readOn(signal: AbortSignal): AsyncGenerator<LogBytesEvent | LogMarkEvent, boolean> {
    for (;;) {
      const manifest = await this.#pieces.manifest(signal);
      const step = manifest === undefined ? this.#readListed(signal) : this.#readManifest(manifest, signal);
      const whole = yield* step;
      if (whole) return manifest !== undefined;
    }
  }

  /** @returns false when a piece had been replaced in the meantime: look again */
  async *#readListed(signal: AbortSignal): AsyncGenerator<LogBytesEvent | LogMarkEvent, boolean> {
    const names = await this.#pieces.list(this.#at, signal);
    const fetch = (name: LogPieceName, either: AbortSignal) => this.#pieces.get(name, either);
    const withBytes = names.filter(name => name.start < name.end);
    for await (const piece of fetchAhead(coverPieces(withBytes, this.#at), fetch, signal, this.#room)) {
      if (piece === undefined) return false;
      yield* this.#give(piece);
    }
    const marksHere = names.filter(name => name.firstMark !== undefined && name.start === this.#at);
    for (const name of marksHere.sort((a, b) => a.firstMark! - b.firstMark!)) {
      const piece = await fetch(name, signal);
      if (piece === undefined) return false;
      yield* this.#give(piece);
    }
    return true;
  }

  async *#readManifest(
    manifest: LogManifest,
    signal: AbortSignal,
  ): AsyncGenerator<LogBytesEvent | LogMarkEvent, boolean> {
    const fetch = (piece: LogManifestPiece, either: AbortSignal) => this.#pieces.finished(piece, either);
    const pieces = manifest.pieces.filter(piece => piece.end > this.#at);
    for await (const piece of fetchAhead(pieces, fetch, signal, this.#room)) {
      if (piece === undefined) throw missing(this.#at);
      yield* this.#give(piece);
    }
    yield* this.#giveMarks(0, manifest.marks as LogMark[]);
    return true;
  }

  *#give(piece: LogPiece): Generator<LogBytesEvent | LogMarkEvent> {
    const due = this.#due(piece.firstMark, piece.marks);
    const from = Math.max(this.#at, piece.start);
    for (const event of logEvents(piece, from, due)) {
      if (event.kind === 'bytes') this.#at = event.offset + event.bytes.length;
      else this.#nextMark++;
      yield event;
    }
    this.#nextMark = Math.max(this.#nextMark, piece.firstMark + piece.marks.length);
  }

  *#giveMarks(firstMark: number, marks: readonly LogMark[]): Generator<LogMarkEvent> {
    for (const mark of this.#due(firstMark, marks)) yield { kind: 'mark', mark };
    this.#nextMark = Math.max(this.#nextMark, firstMark + marks.length);
  }

  #due(firstMark: number, marks: readonly LogMark[]): LogMark[] {
    return marks.slice(Math.max(0, this.#nextMark - firstMark)).filter(mark => mark.offset >= this.#from);
  }
}
