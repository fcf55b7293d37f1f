import { z } from 'zod';
import { LogMarkView } from './api.ts';
import { CiError } from './errors.ts';
import type { LogMark } from './log.ts';

/**
 * The stored form of a log: pieces, each a stretch [start, end) of an attempt's output under a name that says which. A log is
 * cut into blocks of 1 MiB; while a block is still being written, small pieces of it are stored as they come, and once it is
 * complete one piece covers it and the small ones are deleted. Pieces may thus overlap, but never disagree.
 *
 * Layout: "SCLP", version (u8), encoding (u8), length of the index (u32), CRC-32 of all but itself (u32), the index, the bytes.
 * The index, in varints: start, end, first line, lines, ordinal of the first mark, number of times, the times as differences
 * (offset, zigzag time); then the marks as JSON. Lines are counted, not listed: finding one among 1 MiB takes a millisecond,
 * and a list of them would be a tenth of what is stored.
 */
export interface LogPieceIndex extends LogRange {
  /** How many newlines the attempt printed before `start`: the line, from 0, that the first byte belongs to. */
  readonly firstLine: number;
  /** How many newlines are in the piece. */
  readonly lines: number;
  /** When the bytes were read: those from an entry's offset on, until the next entry. The first entry is at `start`. */
  readonly times: readonly LogTime[];
  /** The ordinal of `marks[0]` among all marks of the attempt. */
  readonly firstMark: number;
  /** All marks with an offset in [start, end); of a piece without bytes, some at its offset. */
  readonly marks: readonly LogMark[];
}

/** Bytes from `start` up to but without `end`. */
export interface LogRange {
  readonly start: number;
  readonly end: number;
}

export interface LogTime {
  readonly offset: number;
  /** Milliseconds since 1970. */
  readonly time: number;
}

export interface LogPiece extends LogPieceIndex {
  readonly bytes: Uint8Array;
}

export type LogEncoding = 'raw' | 'zstd';

/** What this file leaves to the environment that it runs in. */
export interface LogCodec {
  /** Gives exactly `size` bytes, or rejects. */
  decompress(bytes: Uint8Array, size: number): Promise<Uint8Array>;
  /** CRC-32, of what may follow something else whose own is `before`. */
  checksum(bytes: Uint8Array, before?: number): number;
}

/** The size of a block, and the largest piece, in bytes of output. Blocks start at its multiples. */
export const LOG_BLOCK_BYTES = 1_048_576;

const MAGIC = [0x53, 0x43, 0x4c, 0x50];
const VERSION = 1;
const ENCODINGS: readonly LogEncoding[] = ['raw', 'zstd'];
const CHECKSUM_AT = 10;
const HEADER_BYTES = 14;

export function encodePiece(
  index: LogPieceIndex,
  encoding: LogEncoding,
  payload: Uint8Array,
  codec: Pick<LogCodec, 'checksum'>,
): Uint8Array {
  const encoded = encodeIndex(index);
  const piece = new Uint8Array(HEADER_BYTES + encoded.length + payload.length);
  piece.set([...MAGIC, VERSION, ENCODINGS.indexOf(encoding)]);
  const header = new DataView(piece.buffer);
  header.setUint32(6, encoded.length);
  piece.set(encoded, HEADER_BYTES);
  piece.set(payload, HEADER_BYTES + encoded.length);
  header.setUint32(CHECKSUM_AT, checksumOf(piece, codec));
  return piece;
}

/** Rejects with `newer-format` for a piece that a newer release wrote, with `internal` for bytes that are no piece. */
export async function decodePiece(stored: Uint8Array, codec: LogCodec): Promise<LogPiece> {
  const { index, encoding, payload } = openPiece(stored, codec);
  const size = index.end - index.start;
  if (size > LOG_BLOCK_BYTES) throw broken(`it claims to hold ${size} bytes`);
  const bytes = encoding === 'raw' ? payload : await codec.decompress(payload, size).catch(refuseDamaged);
  if (bytes.length !== size) throw broken(`it holds ${bytes.length} bytes where ${size} were promised`);
  return { ...index, bytes };
}

/** The index without the bytes: needs no decompression. */
export function openPiece(
  stored: Uint8Array,
  codec: Pick<LogCodec, 'checksum'>,
): { index: LogPieceIndex; encoding: LogEncoding; payload: Uint8Array } {
  if (stored.length < HEADER_BYTES || MAGIC.some((byte, i) => stored[i] !== byte)) throw broken('it is none');
  if (stored[4] !== VERSION)
    throw new CiError('newer-format', `Cannot read log piece as a newer release wrote it: format ${stored[4]}`);
  const encoding = ENCODINGS[stored[5] ?? 255];
  if (encoding === undefined) throw broken(`its encoding is unknown: ${stored[5]}`);
  const header = new DataView(stored.buffer, stored.byteOffset);
  if (header.getUint32(CHECKSUM_AT) !== checksumOf(stored, codec)) throw broken('its bytes are damaged');
  const split = HEADER_BYTES + header.getUint32(6);
  if (split > stored.length) throw broken('it is cut off');
  return { index: decodeIndex(stored.subarray(HEADER_BYTES, split)), encoding, payload: stored.subarray(split) };
}

function checksumOf(piece: Uint8Array, { checksum }: Pick<LogCodec, 'checksum'>): number {
  return checksum(piece.subarray(HEADER_BYTES), checksum(piece.subarray(0, CHECKSUM_AT)));
}

function encodeIndex(index: LogPieceIndex): Uint8Array {
  const numbers = [index.start, index.end, index.firstLine, index.lines, index.firstMark, index.times.length];
  let last: LogTime = { offset: index.start, time: 0 };
  for (const entry of index.times) {
    const passed = entry.time - last.time;
    numbers.push(entry.offset - last.offset, passed < 0 ? -passed * 2 - 1 : passed * 2);
    last = entry;
  }
  const marks = new TextEncoder().encode(index.marks.length === 0 ? '' : JSON.stringify(index.marks));
  const encoded: number[] = [];
  for (const number of numbers) pushVarint(encoded, number);
  const all = new Uint8Array(encoded.length + marks.length);
  all.set(encoded);
  all.set(marks, encoded.length);
  return all;
}

function decodeIndex(bytes: Uint8Array): LogPieceIndex {
  let at = 0;
  const next = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw broken('its index is cut off');
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const [start, end, firstLine, lines, firstMark, count] = [next(), next(), next(), next(), next(), next()];
  const times: LogTime[] = [];
  let offset = start;
  let time = 0;
  for (let i = 0; i < count; i++) {
    offset += next();
    const passed = next();
    time += passed % 2 === 1 ? -(passed + 1) / 2 : passed / 2;
    times.push({ offset, time });
  }
  return { start, end, firstLine, lines, firstMark, times, marks: decodeMarks(bytes.subarray(at)) };
}

function decodeMarks(bytes: Uint8Array): LogMark[] {
  if (bytes.length === 0) return [];
  try {
    return z.array(LogMarkView).parse(JSON.parse(new TextDecoder().decode(bytes))) as LogMark[];
  } catch (error) {
    throw broken('its marks are no list of marks', error);
  }
}

/** Seven bits at a time, lowest first. By division, as offsets outgrow 32 bits. */
function pushVarint(into: number[], value: number): void {
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) into.push((rest % 128) + 128);
  into.push(rest);
}

function refuseDamaged(error: unknown): never {
  throw broken('its bytes are damaged', error);
}

function broken(why: string, cause?: unknown): CiError {
  return new CiError('internal', `Cannot read log piece as ${why}`, { cause });
}
