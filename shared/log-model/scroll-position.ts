/** Which row is at the top of what is seen, and how much of it is above the edge. Rows have one height. */
export interface ScrollPosition {
  /** Of the row at the top. */
  readonly index: number;
  /** From 0 up to but without 1: the part of that row that is out of sight. */
  readonly part: number;
}

/** Moves by so many rows, a fraction of one too, and never beyond either end. */
export function scrolledBy(position: ScrollPosition, rows: number, count: number, visible: number): ScrollPosition {
  return clamped(position.index + position.part + rows, count, visible);
}

/** Where the last row is at the lower edge. */
export function atEnd(count: number, visible: number): ScrollPosition {
  return clamped(Number.POSITIVE_INFINITY, count, visible);
}

/** Where the row is in sight, a third from the top. */
export function showing(index: number, count: number, visible: number): ScrollPosition {
  return clamped(index - Math.floor(visible / 3), count, visible);
}

function clamped(top: number, count: number, visible: number): ScrollPosition {
  const at = Math.max(0, Math.min(top, count - visible));
  const index = Math.floor(at);
  return { index, part: at - index };
}

/** The thumb of a scroll bar whose track is the bytes of the log: start and length as parts of the track. */
export function thumb(
  seen: { readonly from: number; readonly to: number },
  size: number,
  smallest: number,
): { readonly start: number; readonly length: number } {
  if (size <= 0 || seen.to - seen.from >= size) return { start: 0, length: 1 };
  const length = Math.max(smallest, (seen.to - seen.from) / size);
  const room = size - (seen.to - seen.from);
  return { start: Math.min(1, seen.from / room) * (1 - length), length };
}

/** The offset that a thumb which starts there stands for. */
export function offsetOfThumb(start: number, length: number, size: number): number {
  return Math.round((Math.max(0, Math.min(start, 1 - length)) / Math.max(1e-9, 1 - length)) * size);
}
