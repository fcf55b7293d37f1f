import { CiError } from '../../shared/errors.ts';
import { inlinePiece, LogManifest, type LogManifestPiece } from '../../shared/log-manifest.ts';
import { decodePiece, encodePiece, LOG_BLOCK_BYTES, type LogPiece, type LogRange } from '../../shared/log-piece.ts';
import { type LogPieceName, logPieceName, logPieceNamesFrom, parseLogPieceName } from '../../shared/log-piece-name.ts';
import { getBytes } from '../objects/collect.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { parseRecord } from '../queue/records.ts';
import type { BlockCache } from './block-cache.ts';
import { compress, logCodec } from './log-codec.ts';
import type { AttemptName, LogKeys } from './logs.ts';

/** The stored pieces of one attempt's log. Every call is the object store's, with its failures. */
export class LogPieces {
  readonly #objects: ObjectStore;
  readonly #prefix: string;
  readonly #manifestKey: string;
  readonly #timeoutMs: number;
  readonly #blocks: BlockCache;

  constructor(
    objects: ObjectStore,
    keys: LogKeys,
    { task, fence }: AttemptName,
    { timeoutMs, blocks }: { readonly timeoutMs: number; readonly blocks: BlockCache },
  ) {
    this.#objects = objects;
    this.#blocks = blocks;
    this.#prefix = keys.log(task, fence);
    this.#manifestKey = keys.logManifest(task, fence);
    this.#timeoutMs = timeoutMs;
  }

  async put(name: LogPieceName, stored: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#objects.put(this.#key(name), stored, this.#call(signal));
  }

  /** Undefined when there is no such piece, or no longer. */
  get(name: LogPieceName, signal: AbortSignal): Promise<LogPiece | undefined> {
    const fetch = (wanted: AbortSignal) => this.#fetch(name, wanted);
    const isBlock = name.end - name.start === LOG_BLOCK_BYTES;
    return isBlock ? this.#blocks.get(this.#key(name), fetch, signal) : fetch(signal);
  }

  /** The pieces that hold bytes from the offset on, and marks alone at or after it. */
  async list(from: number, signal: AbortSignal): Promise<LogPieceName[]> {
    const after = this.#prefix + logPieceNamesFrom(from - LOG_BLOCK_BYTES);
    const pieces: LogPieceName[] = [];
    for await (const { key } of this.#objects.list(this.#prefix, { ...this.#call(signal), after })) {
      const piece = parseLogPieceName(key.slice(this.#prefix.length));
      if (piece !== undefined && piece.end >= from) pieces.push(piece);
    }
    return pieces;
  }

  async remove(pieces: readonly LogPieceName[], signal: AbortSignal): Promise<void> {
    await this.#objects.deleteMany(
      pieces.map(piece => this.#key(piece)),
      this.#call(signal),
    );
  }

  async putManifest(manifest: LogManifest, signal: AbortSignal): Promise<void> {
    const body = Buffer.from(JSON.stringify(manifest));
    await this.#objects.put(this.#manifestKey, body, { ...this.#call(signal), contentType: 'application/json' });
  }

  /** Undefined as long as the log is not finished. */
  async manifest(signal: AbortSignal): Promise<LogManifest | undefined> {
    const body = await getBytes(this.#objects, this.#manifestKey, this.#call(signal));
    return body && parseRecord(LogManifest, { key: this.#manifestKey, value: body.toString() });
  }

  /** A piece that the manifest names. */
  async finished(piece: LogManifestPiece, signal: AbortSignal): Promise<LogPiece | undefined> {
    if (piece.inline !== undefined) return checked(await decodePiece(readInline(piece.inline), logCodec), piece);
    return this.get({ start: piece.start, end: piece.end }, signal);
  }

  async #fetch(name: LogPieceName, signal: AbortSignal): Promise<LogPiece | undefined> {
    const stored = await getBytes(this.#objects, this.#key(name), this.#call(signal));
    return stored && checked(await decodePiece(stored, logCodec), name);
  }

  #key(name: LogPieceName): string {
    return this.#prefix + logPieceName(name);
  }

  #call(signal: AbortSignal) {
    return { signal, timeoutMs: this.#timeoutMs };
  }
}

/** Bytes in the wrong place are as wrong as other bytes. */
function checked(piece: LogPiece, { start, end }: LogRange): LogPiece {
  if (piece.start === start && piece.end === end) return piece;
  throw new CiError(
    'internal',
    `Cannot read log as a stored piece of it is another one: bytes ${piece.start} to ${piece.end}, not ${start} to ${end}`,
  );
}

function readInline(base64: string): Uint8Array {
  try {
    return inlinePiece(base64);
  } catch (error) {
    throw new CiError('internal', 'Cannot read log as the piece in its manifest is not base64', { cause: error });
  }
}

/** A piece in its stored form. */
export async function packPiece({ bytes, ...index }: LogPiece): Promise<Uint8Array> {
  const { encoding, payload } = await compress(bytes);
  return encodePiece(index, encoding, payload, logCodec);
}
