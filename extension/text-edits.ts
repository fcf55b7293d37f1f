/** Lines and characters are counted from 0. */
export interface Place {
  readonly line: number;
  readonly character: number;
}

/** What stood from `start` up to but without `end` became another text. */
export interface TextEdit {
  readonly start: Place;
  readonly end: Place;
  readonly text: string;
}

/** Where a place of before is after the edits, in their order; undefined if what stood there was taken away. */
export function placeAfter(place: Place, edits: readonly TextEdit[]): Place | undefined {
  let at: Place | undefined = place;
  for (const edit of edits) at = at && after(at, edit);
  return at;
}

function after(at: Place, { start, end, text }: TextEdit): Place | undefined {
  const lines = text.split('\n');
  if (isBefore(at, start)) return at;
  if (isBefore(at, end)) return within(at, { start, end, text }, lines.length);
  const line = at.line + lines.length - 1 - (end.line - start.line);
  if (at.line > end.line) return { line, character: at.character };
  const begin = lines.length === 1 ? start.character : 0;
  return { line, character: begin + lines.at(-1)!.length + at.character - end.character };
}

/** What took the place of the line, if something did: a formatter replaces lines by ones that are much like them. */
function within(at: Place, { start, end, text }: TextEdit, lines: number): Place | undefined {
  if (start.line === end.line) return start;
  return text !== '' && at.line - start.line < lines ? at : undefined;
}

function isBefore(one: Place, other: Place): boolean {
  return one.line < other.line || (one.line === other.line && one.character < other.character);
}
