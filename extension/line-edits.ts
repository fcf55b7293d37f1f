/** Lines from `start` up to but without `end` became so many. Counted from 0. */
export interface LineEdit {
  readonly start: number;
  readonly end: number;
  readonly lines: number;
}

/** Where a line of before is after the edits, in their order; undefined if it was changed away. */
export function lineAfter(line: number, edits: readonly LineEdit[]): number | undefined {
  let at: number | undefined = line;
  for (const { start, end, lines } of edits) {
    if (at === undefined || at < start) continue;
    if (at >= end) at += lines - (end - start);
    else at = at - start < lines ? at : undefined;
  }
  return at;
}
