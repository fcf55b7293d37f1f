import type { LogRange } from './log-piece.ts';

/** What a piece's name tells. A piece without bytes holds marks only, and says with which ordinal they begin. */
export interface LogPieceName extends LogRange {
  readonly firstMark?: number;
}

const NAME = /^(\d{16})-(\d{16})(?:\.(\d+))?$/;

/** Names sort by where the pieces start: `0000000000000000-0000000001048576`, and `…-….3` for marks alone. */
export function logPieceName(piece: LogPieceName): string {
  const name = `${digits(piece.start)}-${digits(piece.end)}`;
  return piece.firstMark === undefined ? name : `${name}.${piece.firstMark}`;
}

/** Undefined for a name that is none of ours. */
export function parseLogPieceName(name: string): LogPieceName | undefined {
  const [, start, end, firstMark] = NAME.exec(name) ?? [];
  if (start === undefined || end === undefined) return undefined;
  const range = { start: Number(start), end: Number(end) };
  return firstMark === undefined ? range : { ...range, firstMark: Number(firstMark) };
}

/** Sorts before the name of every piece that starts at `offset` or later, and after all others. */
export function logPieceNamesFrom(offset: number): string {
  return digits(Math.max(0, offset));
}

function digits(offset: number): string {
  return String(offset).padStart(16, '0');
}
